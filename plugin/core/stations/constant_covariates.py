"""Covariates that have one value in all rows, and tell nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import InputError
from ..progress import Progress
from .rows import TrainingRows


def without_constant(
    rows: TrainingRows, progress: Progress
) -> tuple[TrainingRows, tuple[str, ...]]:
    """Return the rows with the covariates that vary, and the names of the others.

    Raises
    ------
    InputError
        When none varies.
    """
    varies = np.ptp(rows.X, axis=0) > 0
    constant = tuple(n for n, kept in zip(rows.covariates, varies) if not kept)
    if not varies.any():
        raise InputError(
            f"Every covariate has the same value in all rows: {', '.join(constant)}.",
            "Choose covariates that differ between stations or days.",
        )
    if constant:
        progress.warn(
            f"Left out, with the same value in all rows: {', '.join(constant)}. They tell nothing."
        )
    kept_names = tuple(n for n, kept in zip(rows.covariates, varies) if kept)
    kept_rows = replace(rows, X=np.ascontiguousarray(rows.X[:, varies]), covariates=kept_names)
    return kept_rows, constant
