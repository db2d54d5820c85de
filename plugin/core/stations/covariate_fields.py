"""Which fields of a training table are covariates, and their values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from ..errors import InputError
from ..progress import Progress
from .table import Table

KEY_FIELDS = ("fid", "ogc_fid", "objectid", "id")
OBSERVATION_FIELDS = ("station", "network", "date", "moisture", "depth_from", "depth_to", "n")
STEERING_FIELDS = ("role", "fold", "weight")

TWIN_CORRELATION = 0.999
_TWIN_ROWS = 10
_MISSING_CODES = (-9999.0, -32768.0)
_HUGE = 3.4e38


def candidate_covariates(
    table: Table, used_fields: Iterable[str] = (), *, text_numbers: bool = True
) -> list[str]:
    """Return the fields that are covariates when none are named, sorted.

    Every numeric field except keys, the observation layer's own fields, `role`, `fold`,
    `weight` and `used_fields`; `aspect` is left out where its sine and cosine are there.

    Parameters
    ----------
    used_fields : iterable of str
        Fields that other parameters name, the layer's primary key among them.
    text_numbers : bool
        Whether text fields whose every value parses as a number count (tables from CSV).

    Raises
    ------
    InputError
        When there is none, or a text field holds numbers with decimal commas.
    """
    left_out = {*KEY_FIELDS, *OBSERVATION_FIELDS, *STEERING_FIELDS}
    left_out |= {name.lower() for name in used_fields if name}
    offered = [name for name in table.names if name.lower() not in left_out]
    if text_numbers:
        _refuse_decimal_commas(table, offered)
    names = sorted(name for name in offered if table.is_numeric(name, text=text_numbers))
    if {"aspect_sin", "aspect_cos"} <= set(names):
        names = [name for name in names if name != "aspect"]
    if not names:
        raise InputError(
            "The table has no numeric field that could be a covariate.",
            "Add covariates with 'Sample covariates' or name them in COVARIATES.",
        )
    return names


def check_covariates(table: Table, names: Sequence[str], used: Sequence[str]) -> None:
    """Raise `InputError` for covariates that are missing, named twice or something else.

    Parameters
    ----------
    used : sequence of str
        Fields that cannot be covariates as well: target, station, weight.
    """
    twice = [name for name, count in Counter(n.lower() for n in names).items() if count > 1]
    if twice:
        raise InputError(
            f"Covariates are there twice, or differ only in case: {', '.join(sorted(twice))}.",
            "Name each covariate once.",
        )
    missing = [name for name in names if not table.has(name)]
    if missing:
        raise InputError(
            f"The table has no field for the covariates: {', '.join(missing)}.",
            f"The fields are: {', '.join(table.names)}.",
        )
    reserved = {*OBSERVATION_FIELDS, *STEERING_FIELDS, "fid", *(name.lower() for name in used)}
    clashing = [name for name in names if name.lower() in reserved]
    if clashing:
        raise InputError(
            f"Not a covariate: {', '.join(clashing)}.",
            "Leave out the target, the station and the fields of the observation layer.",
        )


def warn_of_unlisted(names: Iterable[str], listed: Iterable[str], progress: Progress) -> None:
    """Warn of covariates that the covariate table does not list, since no map can have them."""
    known = set(listed)
    unlisted = [name for name in names if name not in known]
    if unlisted:
        progress.warn(
            f"COVARIATE_TABLE does not list {', '.join(unlisted)}: a model with them cannot be "
            "mapped by it. Name the covariates in COVARIATES to leave out other fields."
        )


def read_covariates(
    table: Table, names: Sequence[str], kept: np.ndarray, progress: Progress
) -> np.ndarray:
    """Return the covariates as float32 (n, p), NaN for missing.

    As in rasters without declared nodata, −9999, −32768 and ±3.4e38 are missing, with a warning;
    `kept` is the mask (n,) of the rows the warning counts.
    """
    columns = np.empty((len(table), len(names)), dtype=np.float32)
    for index, name in enumerate(names):
        values = table.numeric(name)
        codes = np.isin(values, _MISSING_CODES) | (np.abs(values) >= _HUGE)
        if (codes & kept).any():
            progress.warn(
                f"The covariate '{name}' holds a missing code ({values[codes & kept][0]:g}) in "
                f"{int((codes & kept).sum())} rows, which counts as missing."
            )
        columns[:, index] = np.where(codes, np.nan, values)
    return columns + np.float32(0)


def check_twins(X: np.ndarray, y: np.ndarray, names: Sequence[str], target: str) -> None:
    """Raise `InputError` where a covariate is the target in other units (|r| > 0.999).

    Below 10 rows only an exact linear relation counts, since so few may agree by chance.

    Parameters
    ----------
    X : float (n, p), complete
    y : float (n,), complete
    """
    if len(y) < 3 or np.ptp(y) == 0:
        return
    limit = TWIN_CORRELATION if len(y) >= _TWIN_ROWS else 1 - 1e-9
    deviation = y - y.mean()
    for index, name in enumerate(names):
        values = X[:, index].astype(np.float64)
        values = values - values.mean()
        scale = np.sqrt((values**2).sum() * (deviation**2).sum())
        if scale == 0:
            continue
        r = float((values * deviation).sum() / scale)
        if abs(r) > limit:
            raise InputError(
                f"The covariate '{name}' follows the target '{target}' with r = {r:.5f}: it looks "
                "like the target in other units.",
                f"Leave '{name}' out of COVARIATES.",
            )


def _refuse_decimal_commas(table: Table, names: Sequence[str]) -> None:
    for name in names:
        if table.has_decimal_commas(name):
            shown = next(value for value in table.column(name) if "," in value)
            raise InputError(
                f"The field '{name}' holds numbers with a decimal comma, such as '{shown}'.",
                "Write them with a decimal point, or name the covariates in COVARIATES.",
            )
