"""Which rows train, spike and validate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..progress import Progress
from .table import Table

TRAIN, VALIDATE, SPIKE = "train", "validate", "spike"


def row_roles(table: Table) -> np.ndarray:
    """Return the role of each row, object (n,), lower case; no field or no value is ``train``."""
    if not table.has("role"):
        return np.full(len(table), TRAIN, dtype=object)
    roles = table.text("role")
    roles[:] = [role.lower() or TRAIN for role in roles]
    return roles


def rows_of_roles(table: Table, roles: Sequence[str] | None) -> np.ndarray:
    """Return the mask (n,) of the rows whose role is one of `roles`; None or empty = every row.

    Raises
    ------
    InputError
        When there is no such row: lists the roles found with their counts.
    """
    if not len(table):
        raise InputError("The table has no rows.")
    wanted = {role.strip().lower() for role in roles or () if role.strip()}
    if not wanted:
        return np.ones(len(table), dtype=bool)
    found = row_roles(table)
    mask = np.array([role in wanted for role in found], dtype=bool)
    if not mask.any():
        counts = Counter(found)
        listed = ", ".join(f"{role} ({counts[role]} rows)" for role in sorted(counts))
        raise InputError(
            f"No row has the role {' or '.join(sorted(wanted))}; the roles found are: {listed}.",
            "Set the field 'role' of the rows to use.",
        )
    return mask


def spiking_roles(table: Table, progress: Progress) -> tuple[str, ...]:
    """Return the roles to spike with: ``spike``, or where there is none all but ``validate``."""
    found = set(row_roles(table))
    if SPIKE in found:
        return (SPIKE,)
    others = tuple(sorted(found - {VALIDATE}))
    if others:
        progress.info(
            "No row has the role spike: all rows that are not of role validate are used to spike."
        )
    return others or (SPIKE,)
