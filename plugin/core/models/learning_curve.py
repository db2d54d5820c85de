"""Learning curve: skill at unseen stations against the number of spiking stations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..progress import Progress
from ..stations.design.spiking_design import METHODS, select_spiking
from ..stations.roles import SPIKE
from ..stations.rows import TrainingRows
from ..stations.table import Table
from .alternatives_base import model_without
from .calibration import local_margins
from .heldout import HeldOut, predict_rows
from .learning_curve_scores import CurveRow, curve_row
from .record import Model
from .spike_fits import station_names
from .spike_input import check_spikes
from .spiking import GLOBAL_FOLDS, MIN_SPIKES, SHARES, SpikeResult, SpikeSettings, spike_model

COUNTS = (1, 2, 4, 8)
DESIGNS = METHODS
NESTED = ("random", "stratified")
"""Designs in which the stations of a smaller count are among those of a larger one."""

_STATION, _STRATUM = "\x00station", "\x00stratum"  # no covariate can have these names


@dataclass(frozen=True)
class CurveSettings:
    """How a learning curve is measured.

    Attributes
    ----------
    counts : tuple of int
        Numbers of spiking stations; empty = 1, 2, 4, … up to all that are not held out.
    designs : tuple of str
        Of `DESIGNS`.
    draws : int
        How often test stations are drawn.
    test_share : float
        Share of the stations held out in each draw, above 0 and below 1.
    weight : float
        Of a local row relative to a global row; 0 = learned in every fit.
    trees : int
        Of every forest; 0 = as many as the model has.
    allow_depth_mismatch : bool
    seed, threads : int
    """

    counts: tuple[int, ...] = COUNTS
    designs: tuple[str, ...] = ("random", "coverage")
    draws: int = 15
    test_share: float = 0.4
    weight: float = 0.0
    trees: int = 0
    allow_depth_mismatch: bool = False
    seed: int = 42
    threads: int = 2


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """The scores of all draws, and what they rest on.

    Attributes
    ----------
    rows : tuple of CurveRow
    settings : CurveSettings
        With the counts that were tried.
    base : Model
    local : TrainingRows
    test_stations : tuple of tuple of str
        Held out in each draw.
    trees : int
        Of every forest.
    """

    rows: tuple[CurveRow, ...]
    settings: CurveSettings
    base: Model
    local: TrainingRows
    test_stations: tuple[tuple[str, ...], ...]
    trees: int


def learning_curve(
    base: Model,
    local: TrainingRows,
    settings: CurveSettings,
    *,
    strata: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> LearningCurve:
    """Spike a model with more and more stations and score it at stations held out.

    In each draw the same test stations judge all designs and counts, so that their scores may be
    compared in pairs. A design chooses among the other stations. Random and stratified choices
    are nested: a larger one holds the smaller. Coverage and lhs choose anew for each count, as
    one would in the field.

    Parameters
    ----------
    base : Model
        Trained, with its training rows. Stations that are local as well are left out of it.
    local : TrainingRows
        Rows of at least two stations.
    strata : mapping of str to str, optional
        Stratum of each station; needed for the design stratified, a class variable for lhs.

    Raises
    ------
    InputError
        What `spike_model` refuses; too few stations; no count that can be tried; a design that is
        not known, or stratified without strata.
    Cancelled
        The user stopped the run.
    """
    progress = progress or Progress()
    check_spikes(base, local, settings.weight, settings.allow_depth_mismatch, progress)
    settings = _checked(settings, station_names(local), strata, progress)
    base = model_without(
        base,
        local,
        trees=settings.trees,
        seed=settings.seed,
        threads=settings.threads,
        progress=progress.part(0.0, 0.05),
    )
    means = _station_table(local, strata)
    _tell_constant(means, local.covariates, settings, progress)
    fits = fits_at_most(settings)
    progress.info(
        f"{settings.draws} draws of {_test_count(settings, len(means))} test stations; up to "
        f"{fits} forests of {base.hyperparameters['trees']} trees are grown."
    )
    rows: list[CurveRow] = []
    tests = []
    for draw in range(settings.draws):
        part = progress.part(
            0.05 + 0.95 * draw / settings.draws, 0.05 + 0.95 * (draw + 1) / settings.draws
        )
        test = _draw_test(settings, means.text(_STATION).tolist(), draw)
        rows += _run_draw(base, local, settings, means, test, draw, _Quiet(part))
        tests.append(tuple(test))
    trees = int(base.hyperparameters["trees"])
    return LearningCurve(tuple(rows), settings, base, local, tuple(tests), trees)


def parse_counts(text: str) -> tuple[int, ...]:
    """Return the numbers of a text such as ``1;2;4;8``; empty for none and for ``0``.

    Raises
    ------
    InputError
        What is no whole number above 0.
    """
    parts = text.replace(",", ";").replace(";", " ").split()
    if parts in ([], ["0"]):
        return ()
    wrong = [part for part in parts if not part.isascii() or not part.isdigit() or int(part) == 0]
    if wrong:
        raise InputError(
            f"COUNTS holds '{wrong[0]}', which is no whole number above 0.",
            "Give numbers such as 1;2;4;8, or 0 for 1, 2, 4 and so on.",
        )
    return tuple(int(part) for part in parts)


def fits_at_most(settings: CurveSettings) -> int:
    """Return how many forests a learning curve grows, where no two choices are alike."""
    shares = len(SHARES) if settings.weight == 0 else 1
    one = 0
    for count in settings.counts:
        one += 2 if count < MIN_SPIKES else count * (shares + 1) + GLOBAL_FOLDS + 2
    return settings.draws * len(settings.designs) * one


class _Quiet(Progress):
    """Passes on how far the work is, and nothing of what the many fits would say."""

    def __init__(self, passed_to: Progress) -> None:
        self._passed_to = passed_to

    @property
    def cancelled(self) -> bool:
        return self._passed_to.cancelled

    def report(self, fraction: float) -> None:
        self._passed_to.report(fraction)


def _checked(
    settings: CurveSettings,
    stations: list[str],
    strata: Mapping[str, str] | None,
    progress: Progress,
) -> CurveSettings:
    if len(stations) < 2:
        raise InputError(
            f"The local table has {len(stations)} station with complete rows.",
            "A learning curve needs some to spike with and others to judge by: two at the least.",
        )
    if not 0 < settings.test_share < 1:
        raise InputError(
            f"TEST_SHARE is {settings.test_share:g}.", "It must lie above 0 and below 1."
        )
    unknown = [name for name in settings.designs if name not in DESIGNS]
    if unknown or not settings.designs:
        raise InputError(
            f"DESIGNS is '{', '.join(unknown)}'.", f"Choose among {', '.join(DESIGNS)}."
        )
    if "stratified" in settings.designs and not strata:
        raise InputError("The design stratified needs a field.", "Choose a field as STRATA.")
    most = len(stations) - _test_count(settings, len(stations))
    counts = settings.counts or tuple(2**i for i in range(most.bit_length()))
    tried = tuple(sorted({count for count in counts if 1 <= count <= most}))
    if not tried:
        raise InputError(
            f"COUNTS is {'; '.join(str(c) for c in counts)}, but of {len(stations)} stations "
            f"{most} are not held out.",
            "Give smaller counts, or a smaller TEST_SHARE.",
        )
    left = [str(count) for count in counts if count not in tried]
    if left:
        progress.warn(
            f"Counts left out: {', '.join(left)}. Of {len(stations)} stations {most} are not held "
            "out."
        )
    return replace(settings, counts=tried, designs=tuple(dict.fromkeys(settings.designs)))


def _station_table(local: TrainingRows, strata: Mapping[str, str] | None) -> Table:
    """Return one row a station with the means of its covariates, in the order of names."""
    names, code, number = np.unique(
        local.station.astype(str), return_inverse=True, return_counts=True
    )
    columns: dict[str, np.ndarray] = {_STATION: names.astype(object)}
    for name, values in zip(local.covariates, local.X.T):
        columns[name] = np.bincount(code, values.astype(np.float64)) / number
    if strata:
        columns[_STRATUM] = np.array([strata[str(name)] for name in names], dtype=object)
    return Table(columns)


def _tell_constant(
    means: Table, covariates: tuple[str, ...], settings: CurveSettings, progress: Progress
) -> None:
    """Warn of covariates that designs in covariate space leave out."""
    designs = [design for design in settings.designs if design not in NESTED]
    same = [name for name in covariates if np.ptp(means.numeric(name)) == 0]
    if same and designs:
        progress.warn(
            f"The same at every station, left out by the designs {', '.join(designs)}: "
            f"{', '.join(same)}."
        )


def _test_count(settings: CurveSettings, stations: int) -> int:
    rounded = int(np.floor(settings.test_share * stations + 0.5 + 1e-9))
    return min(max(rounded, 1), stations - 1)


def _draw_test(settings: CurveSettings, stations: list[str], draw: int) -> list[str]:
    rng = np.random.default_rng([settings.seed, draw])
    chosen = rng.permutation(len(stations))[: _test_count(settings, len(stations))]
    return sorted(stations[i] for i in chosen)


def _run_draw(
    base: Model,
    local: TrainingRows,
    settings: CurveSettings,
    means: Table,
    test: list[str],
    draw: int,
    progress: Progress,
) -> list[CurveRow]:
    held = np.isin(local.station.astype(str), test)
    judges = local.take(held)
    pool = means.take(~np.isin(means.text(_STATION).astype(str), test))
    margins = base.calibration.margins if base.calibration else None
    before = predict_rows(base.forest, judges).with_margins(margins)
    scored = [curve_row(before, "", 0, draw, "global", 0.0, ())]
    known: dict[tuple[str, ...], SpikeResult] = {}
    choices = _choices(pool, local, settings, draw, progress)
    for i, (design, count, spikes) in enumerate(choices):
        if spikes not in known:  # designs may choose alike, and all do where every station spikes
            rows = local.take(np.isin(local.station.astype(str), spikes))
            part = progress.part(i / len(choices), (i + 1) / len(choices))
            known[spikes] = _spike(base, rows, judges, settings, part)
        result = known[spikes]
        for model, held_out in _judged(result).items():
            scored.append(curve_row(held_out, design, count, draw, model, result.weight, spikes))
    return scored


def _choices(
    pool: Table, local: TrainingRows, settings: CurveSettings, draw: int, progress: Progress
) -> list[tuple[str, int, tuple[str, ...]]]:
    """Return design, count and the stations chosen, for each design from the smallest count on."""
    choices = []
    seed = int(np.random.SeedSequence([settings.seed, draw]).generate_state(1)[0])
    stations = pool.text(_STATION).astype(str)
    for design in settings.designs:
        role = np.full(len(stations), "", dtype=object)
        for count in settings.counts:
            chosen = select_spiking(
                pool.with_columns({"role": role}) if design in NESTED else pool,
                station=_STATION,
                covariates=local.covariates,
                count=count,
                method=design,
                strata=_STRATUM if pool.has(_STRATUM) and design in ("stratified", "lhs") else None,
                seed=seed,
                progress=_Quiet(progress.part(0.0, 0.0)),
            )
            role = chosen.column("role")
            role = np.where(role == SPIKE, SPIKE, "").astype(object)
            choices.append((design, count, tuple(stations[role == SPIKE].tolist())))
    return choices


def _spike(
    base: Model,
    spikes: TrainingRows,
    judges: TrainingRows,
    settings: CurveSettings,
    progress: Progress,
) -> SpikeResult:
    spiking = SpikeSettings(
        weight=settings.weight,
        allow_depth_mismatch=settings.allow_depth_mismatch,
        seed=settings.seed,
        threads=settings.threads,
    )
    result = spike_model(base, spikes, spiking, validation=judges, progress=progress)
    # keep what is scored, not the forests
    return replace(result, model=replace(result.model, training=None, local=None), spread=None)


def _judged(result: SpikeResult) -> dict[str, HeldOut]:
    judged = {}
    local = result.validate_local
    if local is not None:
        if result.loso_local is not None:
            local = local.with_margins(local_margins(*result.loso_local.margin_input()))
        judged["local"] = local
    if result.validate_after is not None:
        judged["spiked"] = result.validate_after
    return judged
