"""`python -m micromimic`."""

import sys

from micromimic.cli import main

if __name__ == "__main__":
    sys.exit(main())
