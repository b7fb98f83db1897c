"""`python -m jscc_sim` is `jscc-sim`."""

import sys

from jscc_sim.cli import main

if __name__ == "__main__":
    sys.exit(main())
