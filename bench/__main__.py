"""`./pilothouse bench [NAME …]`: speed and memory against the budgets; all of them by default."""

from __future__ import annotations

import importlib
import sys

MEASUREMENTS = ("list", "access", "start", "idle", "terminal", "sessions", "logs")


def main(names: list[str]) -> int:
    """Run the named measurements one after the other; the exit code is 1 when one exceeds a budget."""
    unknown = sorted(set(names) - set(MEASUREMENTS))
    if unknown:
        print(f"There is no measurement called {unknown[0]!r}; there are {', '.join(MEASUREMENTS)}.", file=sys.stderr)
        return 2
    codes: list[int] = [importlib.import_module(f"bench.{name}").main() for name in names or MEASUREMENTS]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
