"""The command line: parse, call the library, render. Only a command imports heavy packages."""
