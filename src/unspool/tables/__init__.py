"""Tables in and out: any kind of table, any file, as named columns in one canonical form."""
