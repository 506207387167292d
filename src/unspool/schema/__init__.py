"""What the columns are: fields, the schema they form, and how both are inferred from data."""
