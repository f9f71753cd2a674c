"""`python -m acr_sklearn` is the command acr-sklearn."""

import sys

from acr_sklearn.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
