"""Fields, the schema that they form, and the inference of both from data."""
