"""A base model that has seen no local station."""

from __future__ import annotations

from dataclasses import replace

from ..progress import Progress
from ..stations.rows import TrainingRows
from .heldout import ForestSettings
from .record import Model
from .spike_input import global_rows


def model_without(
    base: Model,
    local: TrainingRows,
    *,
    validation: TrainingRows | None = None,
    trees: int = 0,
    seed: int = 42,
    threads: int = 2,
    progress: Progress | None = None,
) -> Model:
    """Return a model without the rows of local stations, grown anew where it had any.

    Parameters
    ----------
    base : Model
        With its training rows.
    local : TrainingRows
    validation : TrainingRows, optional
        More rows of local stations.
    trees : int
        Of its forest; 0 = as many as it has.
    seed : int
        Where the model does not state its own.
    threads : int

    Raises
    ------
    InputError
        A model without training rows, or with none but those of local stations.
    """
    progress = progress or Progress()
    globe = global_rows(base, local, validation, progress)
    known = base.hyperparameters
    wanted = trees or int(known["trees"])
    if base.training is not None and len(globe) == len(base.training) and wanted == known["trees"]:
        return base
    stated = ForestSettings.stated(known, base.method, seed=seed, threads=threads)
    forest = replace(stated, trees=wanted).grow(globe, progress)
    return replace(base, forest=forest, training=globe, hyperparameters={**known, "trees": wanted})
