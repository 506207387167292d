"""The command line: parse, call the library, render. Nothing heavy is imported before a command runs."""

from unspool.cli.app import main

__all__ = ["main"]
