"""Between tables and arrays: read any table, lay out its sequences, and encode their values for the network."""
