"""The output distributions of fields, one module for each kind of value."""
