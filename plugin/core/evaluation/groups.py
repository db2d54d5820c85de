"""Groups of rows that reports set beside each other: networks, seasons, classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..stations.rows import TrainingRows
from .metrics import SEASONS, class_fields, natural_order, season_of

_SEASON_NAMES = {
    "DJF": "December–February",
    "MAM": "March–May",
    "JJA": "June–August",
    "SON": "September–November",
}


@dataclass(frozen=True, eq=False)
class Group:
    """Rows of one network, season or class.

    Attributes
    ----------
    scope : str
        ``network``, ``season`` or ``class``.
    field : str
        What the rows are grouped by: the scope, or the name of the class field.
    name : str
        As it stands in the metrics table.
    rows : (n,) bool
    """

    scope: str
    field: str
    name: str
    rows: np.ndarray

    @property
    def shown(self) -> str:
        """Return the name that readers know the group by."""
        return season_name(self.name) if self.scope == "season" else self.name

    @property
    def place(self) -> str:
        """Return where the rows are, to begin a sentence with."""
        if self.scope == "class":
            return f"Where {self.field} is {self.shown}"
        return f"In {self.shown}" if self.scope == "season" else f"In network {self.shown}"

    @property
    def label(self) -> str:
        """Return field and name, to stand inside a sentence."""
        return self.shown if self.scope == "season" else f"{self.field} {self.shown}"


def groupings(rows: TrainingRows) -> Iterator[tuple[str, list[Group]]]:
    """Yield each field that parts the rows, with its groups in their order.

    A field whose only value is that of all rows tells nothing beyond the rows as a whole and is
    left out; rows without a value belong to no group.
    """
    columns = [("network", "network", rows.network), ("season", "season", season_of(rows.date))]
    columns += [("class", name, rows.classes[name]) for name in class_fields(rows.classes)]
    for scope, field, values in columns:
        texts = values.astype(str)
        named = set(texts.tolist()) - {""}
        names = [s for s in SEASONS if s in named] if scope == "season" else natural_order(named)
        if names and (texts != names[0]).any():
            yield field, [Group(scope, field, name, texts == name) for name in names]


def season_name(season: str) -> str:
    """Return the months of a season."""
    return _SEASON_NAMES.get(season, season)
