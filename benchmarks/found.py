"""What a part with a table of its own has measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .exactness import Check
from .table import Target, aligned


@dataclass(frozen=True)
class Found:
    """What was measured: targets, plain figures (what, text), and whether values are right."""

    targets: tuple[Target, ...]
    figures: tuple[tuple[str, str], ...] = ()
    checks: tuple[Check, ...] = ()

    @classmethod
    def of_all(cls, parts: Sequence[Found]) -> Found:
        """Return what all parts have found, in their order."""
        return cls(
            tuple(target for part in parts for target in part.targets),
            tuple(figure for part in parts for figure in part.figures),
            tuple(check for part in parts for check in part.checks),
        )

    def form(self, title: str) -> str:
        """Return the table: what, target, measured, reached."""
        lines = [(title, "target", "measured", "reached")]
        for target in self.targets:
            goal = f"{'≤' if target.most else '≥'} {target.goal:g} {target.unit}"
            if target.measured is None:
                lines.append((target.what, goal, "not measured", "–"))
                continue
            measured = f"{float(f'{target.measured:.3g}'):g} {target.unit}"
            lines.append((target.what, goal, measured, "yes" if target.reached else "no"))
        lines += [(what, "–", text, "–") for what, text in self.figures]
        return aligned(lines)
