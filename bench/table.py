"""What a measurement found, against its budget, as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure. ``reference`` is what it is held against, measured in the same run; ``budget`` the most it may be.

    With ``is_ratio`` the budget is a multiple of the reference, else it is in the figure's own unit.
    """

    name: str
    value: float
    unit: str
    budget: float
    reference: float | None = None
    reference_name: str = ""
    is_ratio: bool = False

    @property
    def measured(self) -> float:
        """What the budget speaks of."""
        if self.is_ratio and self.reference:
            return self.value / self.reference
        return self.value

    @property
    def is_met(self) -> bool:
        """Whether the budget holds."""
        return self.measured <= self.budget


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value below which ``share`` (0 to 1) of ``values`` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def show(title: str, figures: Sequence[Figure]) -> int:
    """Print the table; return an exit code: 1 when a budget is exceeded."""
    print(f"\n{title}")
    header = ("figure", "measured", "reference", "ratio", "budget", "")
    rows = [header]
    for figure in figures:
        ratio = f"{figure.value / figure.reference:.2f} x" if figure.reference else "-"
        reference = f"{figure.reference:.1f} {figure.unit} {figure.reference_name}" if figure.reference else "-"
        budget = f"{figure.budget:g} x" if figure.is_ratio else f"{figure.budget:g} {figure.unit}"
        verdict = "ok" if figure.is_met else "OVER"
        rows.append((figure.name, f"{figure.value:.1f} {figure.unit}", reference, ratio, budget, verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    for row in rows:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0 if all(figure.is_met for figure in figures) else 1
