"""What a model can be spiked with, and which of its own rows stay."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..progress import Progress
from ..stations.rows import TrainingRows
from .heldout import require_stated
from .record import Model


def check_spikes(
    base: Model,
    spikes: TrainingRows,
    weight: float,
    allow_depth_mismatch: bool,
    progress: Progress,
) -> None:
    """Refuse local rows that cannot be added to `base`.

    Raises
    ------
    InputError
        A model that is spiked already or does not state how its forest was grown, a weight that
        is not positive, other covariates or a depth range that does not overlap.
    """
    if base.kind == "spiked":
        raise InputError(
            "The model is spiked already.",
            "Spike the model it was made from, with all local stations in one table.",
        )
    require_stated(base.hyperparameters, "it cannot be refitted with local rows")
    if not np.isfinite(weight) or weight < 0:
        raise InputError(f"WEIGHT is {weight:g}.", "Give a positive number, or 0 for automatic.")
    if spikes.covariates != base.names:
        missing = sorted(set(base.names) - set(spikes.covariates))
        raise InputError(
            f"The local table lacks the covariates {', '.join(missing)} of the model.",
            "Sample them with samplecovariates.",
        )
    _check_depth(base, spikes, allow_depth_mismatch, progress)


def _check_depth(base: Model, spikes: TrainingRows, allowed: bool, progress: Progress) -> None:
    if base.depth is None or spikes.depth is None:
        return
    if base.depth[0] <= spikes.depth[1] and spikes.depth[0] <= base.depth[1]:
        return
    text = (
        f"The local readings are from {spikes.depth[0]:g} to {spikes.depth[1]:g} m, the model was "
        f"trained on {base.depth[0]:g} to {base.depth[1]:g} m."
    )
    if not allowed:
        raise InputError(
            text, "Use readings of that depth, or set ALLOW_DEPTH_MISMATCH if you know better."
        )
    progress.warn(text)


def global_rows(
    base: Model, spikes: TrainingRows, validation: TrainingRows | None, progress: Progress
) -> TrainingRows:
    """Return the model's rows less those of stations that are local as well."""
    training = base.require_rows("it cannot be refitted with local ones")
    local = _keys(spikes) | (_keys(validation) if validation is not None else set())
    keys = np.array([key in local for key in _key_list(training)], dtype=bool)
    if not keys.any():
        return training
    names = sorted({str(name) for name in training.station[keys]})
    shown = ", ".join(names[:10]) + (" …" if len(names) > 10 else "")
    if keys.all():
        raise InputError(
            f"Every station of the model is among the local stations ({shown}).",
            "Spike a model that was trained on other stations.",
        )
    progress.warn(
        f"{len(names)} local stations are among the training stations of the model ({shown}): "
        "their rows there are left out, so that no reading counts twice and no score is "
        "measured on readings seen before."
    )
    return training.take(~keys)


def _key_list(rows: TrainingRows) -> list[tuple[str, str]]:
    return [(str(n), str(s)) for n, s in zip(rows.network, rows.station)]


def _keys(rows: TrainingRows) -> set[tuple[str, str]]:
    return set(_key_list(rows))
