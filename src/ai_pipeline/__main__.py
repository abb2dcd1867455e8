"""`python -m ai_pipeline`."""

import sys

from ai_pipeline.cli import main

if __name__ == "__main__":
    sys.exit(main())
