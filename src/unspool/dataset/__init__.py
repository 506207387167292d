"""From tables to examples: which columns are inputs, which are steps, and which rows form a sequence."""
