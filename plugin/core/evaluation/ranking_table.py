"""What a ranking of covariates was asked for and found, and its table."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..models.heldout import ForestSettings
from ..rasters.writing import atomic_path
from ..stations.rows import TrainingRows
from .importance import REPEATS
from .selection import CovariateSet
from .selection_forward import ForwardStep

RANKINGS = ("permutation", "out-of-bag", "impurity")
METHODS = (*RANKINGS, "group-drop", "successive", "forward")
TOLERANCE = 0.02
SET_SCORES = ("r", "ubrmse", "me", "slope", "rmse", "n", "stations")
COLUMNS = (
    *("method", "rank", "covariate", "group", "importance", "sd", "relative"),
    *("covariates", *SET_SCORES, "selected"),
)


@dataclass(frozen=True)
class RankSettings:
    """How covariates are ranked.

    Attributes
    ----------
    method : str
        One of `METHODS`.
    forest : ForestSettings
    folds : int
        Number of station folds, where the rows bring none.
    repeats : int
        Permutations in each fold.
    tolerance : float
        What counts as no better: a share of the RMSE, and of the other scores as
        `successive.improvements` says.
    ranking : str
        One of `RANKINGS`: the order in which successive sets are made.
    groups : mapping of str to str
        Group of a covariate; one without stands for itself.
    """

    method: str = "permutation"
    forest: ForestSettings = field(default_factory=ForestSettings)
    folds: int = 5
    repeats: int = REPEATS
    tolerance: float = TOLERANCE
    ranking: str = "permutation"
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Line:
    """One line of the table.

    Attributes
    ----------
    method : str
    rank : int or None
        From 1; None for a whole set.
    names : tuple of str
        The covariate, or those of a group or set.
    importance, sd : float or None
        As the method gives them.
    relative : float or None
        Share of the largest importance, 0–1 (negative where the importance is); out-of-bag: of
        the largest quotient of importance and SD.
    scored : CovariateSet or None
        Set whose scores stand in the line: up to and with this covariate, or without this group.
    selected : bool
        Whether it is in the set chosen.
    """

    method: str
    rank: int | None
    names: tuple[str, ...]
    group: str = ""
    importance: float | None = None
    sd: float | None = None
    relative: float | None = None
    scored: CovariateSet | None = None
    selected: bool = False


@dataclass(frozen=True, eq=False)
class Ranking:
    """Covariates by rank, and the set chosen at stations not seen.

    Attributes
    ----------
    settings : RankSettings
    rows : TrainingRows
        Without constant covariates.
    lines, beside : tuple of Line
        By the method; by the station folds or the order it rests on, where that is another.
    whole, chosen : CovariateSet
        All covariates, and those selected.
    folds, fits : int
        Station folds, and forests grown.
    constant, static : tuple of str
        Covariates left out because they never change, and those that change between stations only.
    steps : tuple of ForwardStep
        Of a forward selection.
    """

    settings: RankSettings
    rows: TrainingRows
    lines: tuple[Line, ...]
    beside: tuple[Line, ...]
    whole: CovariateSet
    chosen: CovariateSet
    folds: int
    fits: int
    constant: tuple[str, ...]
    static: tuple[str, ...]
    steps: tuple[ForwardStep, ...] = ()

    @property
    def selected(self) -> tuple[str, ...]:
        """The covariates chosen, in the order of the ranking."""
        order = [name for line in self.lines for name in line.names]
        return tuple(name for name in order if name in self.chosen.names)


def write_ranking(result: Ranking, path: Path) -> None:
    """Write the lines as CSV (UTF-8), then all covariates and those selected as sets without rank.

    Raises
    ------
    InputError
        Where the folder does not exist or cannot be written to.
    """
    method = result.settings.method
    sets = [
        Line(method, None, result.whole.names, "", scored=result.whole),
        Line(method, None, result.selected, "", scored=result.chosen, selected=True),
    ]
    with (
        atomic_path(Path(path)) as temporary,
        Path(temporary).open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for line in (*result.lines, *result.beside, *sets):
            writer.writerow(_cells(line))


def _cells(line: Line) -> list[str]:
    scores: Mapping[str, Any] = line.scored.scores if line.scored else {}
    return [
        line.method,
        _text(line.rank),
        ";".join(line.names),
        line.group,
        _text(line.importance),
        _text(line.sd),
        _text(line.relative),
        _text(len(line.scored.names) if line.scored else None),
        *(_text(scores.get(name)) for name in SET_SCORES),
        str(int(line.selected)),
    ]


def _text(value: float | None) -> str:
    if value is None or not np.isfinite(value):
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)
