"""`python -m micromimic`."""

import sys

from micromimic.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
