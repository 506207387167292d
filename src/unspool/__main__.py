"""`python -m unspool` runs `unspool`."""

import sys

from unspool.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
