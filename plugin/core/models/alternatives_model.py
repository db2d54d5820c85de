"""A model whose bias at the spike stations is taken off."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..progress import Progress
from ..stations.rows import TrainingRows
from .alternatives import BIAS, Alternative, Shift, compare_alternatives, shift_forest
from .alternatives_base import model_without
from .calibration import Calibration, Margins
from .heldout import HeldOut, predict_rows
from .record import Model
from .spike_input import check_spikes
from .spiking import SpikeSettings
from .training import period_of, provenance, summary_of


@dataclass(frozen=True, eq=False)
class CorrectionResult:
    """A corrected model and what judges it.

    Attributes
    ----------
    model, base : Model
        After and before the correction.
    spikes : TrainingRows
    shift : Shift
        What is added to every prediction.
    before : HeldOut
        Spike stations predicted by the base model.
    validate_before : HeldOut or None
        Stations of the role validate, predicted alike.
    alternatives : tuple of Alternative
        The correction, and the residual forest to compare it with.
    """

    model: Model
    base: Model
    spikes: TrainingRows
    shift: Shift
    before: HeldOut
    validate_before: HeldOut | None
    alternatives: tuple[Alternative, ...]

    @property
    def bias(self) -> Alternative:
        """The correction that is in the model."""
        return next(one for one in self.alternatives if one.name == BIAS)


def correct_bias(
    base: Model,
    spikes: TrainingRows,
    settings: SpikeSettings,
    *,
    validation: TrainingRows | None = None,
    progress: Progress | None = None,
) -> CorrectionResult:
    """Move all predictions of a model by its bias at the spike stations, shrunk towards none.

    The base model needs no training rows. Where it holds them, local stations are left out of
    it first. The weight of the settings is not used.

    Raises
    ------
    InputError
        A model that is spiked already, other covariates or another depth.
    Cancelled
        The user stopped the run.
    """
    progress = progress or Progress()
    check_spikes(base, spikes, 0.0, settings.allow_depth_mismatch, progress)
    if base.training is None:
        progress.warn(
            "The model holds no training rows, so it cannot be told whether it has seen local "
            "stations; if it has, its errors at them look smaller than they are."
        )
    else:
        base = model_without(
            base,
            spikes,
            validation=validation,
            seed=settings.seed,
            threads=settings.threads,
            progress=progress.part(0.0, 0.5),
        )
    margins = base.calibration.margins if base.calibration else None
    before = predict_rows(base.forest, spikes).with_margins(margins)
    judged = None
    if validation is not None and len(validation):
        judged = predict_rows(base.forest, validation).with_margins(margins)
    found = compare_alternatives(
        before,
        base.calibration,
        validation=judged,
        seed=settings.seed,
        threads=settings.threads,
        progress=progress.part(0.5, 1.0),
    )
    bias = next(one for one in found if one.name == BIAS)
    shift = bias.shift or Shift(0.0, 0.0, 0.0, 0.0, 0)
    model = _build(base, spikes, shift, bias.margins, settings)
    return CorrectionResult(model, base, spikes, shift, before, judged, found)


def _build(
    base: Model,
    spikes: TrainingRows,
    shift: Shift,
    margins: Margins | None,
    settings: SpikeSettings,
) -> Model:
    old = base.calibration
    calibration = None
    if margins is not None:
        calibration = Calibration(
            station=old.station if old else None,
            network=old.network if old else None,
            spiked=margins,
            applied="spiked",
        )
    step = {
        "algorithm": "spikemodel",
        "method": "bias correction",
        **summary_of(spikes),
        "shift": shift.value,
        "mean_residual": shift.mean,
        "kept": shift.factor,
        "inputs": dict(settings.inputs),
    }
    known = spikes.date[~np.isnat(spikes.date)]
    return replace(
        base,
        kind="spiked",
        forest=shift_forest(base.forest, shift.value),
        period=_joined(base.period, period_of(spikes)),
        spike_dates=tuple(str(day) for day in np.unique(known)),
        hyperparameters={**base.hyperparameters, "correction": BIAS, "shift": shift.value},
        metrics=(),
        calibration=calibration,
        provenance=provenance([*base.provenance.get("steps", []), step]),
        training=None,  # the forest was not grown on the local rows
        local=None,
    )


def _joined(
    first: tuple[str, str] | None, second: tuple[str, str] | None
) -> tuple[str, str] | None:
    periods = [period for period in (first, second) if period is not None]
    if not periods:
        return None
    return min(p[0] for p in periods), max(p[1] for p in periods)
