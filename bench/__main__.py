"""`./pilothouse bench [NAME …]`: speed and memory against the budgets; all of them by default, but the soak."""

from __future__ import annotations

import argparse
import importlib
import sys

MEASUREMENTS = ("list", "access", "start", "idle", "terminal", "sessions", "logs")
#: Takes as long as it is told to.
SOAK = "soak"


def main(arguments: list[str]) -> int:
    """Run the named measurements one after the other; the exit code is 1 when one exceeds a budget."""
    parser = argparse.ArgumentParser(prog="./pilothouse bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join((*MEASUREMENTS, SOAK)))
    parser.add_argument("--minutes", type=float, default=60.0, help="how long the soak takes (default: 60)")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - {*MEASUREMENTS, SOAK})
    if unknown:
        known = ", ".join((*MEASUREMENTS, SOAK))
        print(f"There is no measurement called {unknown[0]!r}; there are {known}.", file=sys.stderr)
        return 2
    codes: list[int] = []
    for name in options.names or MEASUREMENTS:
        module = importlib.import_module(f"bench.{name}")
        codes.append(module.main(minutes=options.minutes) if name == SOAK else module.main())
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
