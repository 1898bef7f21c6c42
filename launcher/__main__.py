"""`python -m launcher`: the commands of `./pilothouse`."""

from __future__ import annotations

import sys

from launcher import say
from launcher.commands import main

if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except say.Trouble as trouble:
        say.error(str(trouble))
        sys.exit(1)
    except KeyboardInterrupt:
        say.error("broken off; run the same command again to go on where it stopped.")
        sys.exit(130)
