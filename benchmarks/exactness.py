"""Whether the engine's numbers are those of the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Check:
    """The largest difference between an engine and a reference, in units of the target."""

    what: str
    difference: float

    @property
    def exact(self) -> bool:
        """Whether the difference is at most 1e-9; a missing number never is."""
        return self.difference <= TOLERANCE

    def __str__(self) -> str:
        verdict = "exact" if self.exact else "NOT EXACT"
        return f"{self.what}: largest difference {self.difference:.1e}: {verdict}"


def compare(what: str, found: np.ndarray, expected: np.ndarray) -> Check:
    """Compare two arrays of one shape; other shapes and missing numbers are not exact."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape or found.size == 0:
        return Check(f"{what}: shapes {found.shape} and {expected.shape}", float("inf"))
    difference = float(np.max(np.abs(found - expected)))
    return Check(what, difference if np.isfinite(difference) else float("inf"))
