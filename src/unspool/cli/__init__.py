"""The command line: parse, call the library, render. Nothing heavy is imported before a command runs."""
