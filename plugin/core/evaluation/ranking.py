"""Which covariates matter at stations not seen, and which set will do, by six methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import InputError
from ..models.distribution import predict_forest
from ..models.heldout import Fold
from ..models.training import choose_folds
from ..progress import Progress
from ..stations.constant_covariates import without_constant
from ..stations.rows import TrainingRows
from .importance import (
    HeldOutFold,
    Importance,
    Predict,
    by_importance,
    impurity_importance,
    out_of_bag_importance,
    permutation_importance,
)
from .ranking_table import METHODS, RANKINGS, Line, Ranking, RankSettings
from .selection import (
    CovariateSet,
    SetScorer,
    smallest_enough,
    station_constant,
)
from .selection_forward import ForwardStep, forward_cost, select_forward
from .successive import choose_set, successive_sets

#: Rows shuffled in a fold; larger folds are drawn from.
MAX_ROWS = 5000


@dataclass(frozen=True, eq=False)
class _Work:
    """What the methods share: the forests that know every covariate, and their scores."""

    settings: RankSettings
    scorer: SetScorer
    whole: CovariateSet
    folds: tuple[Fold, ...]

    @property
    def rows(self) -> TrainingRows:
        return self.scorer.rows

    def group(self, name: str) -> str:
        return self.settings.groups.get(name, "")


_Found = tuple[list[Line], list[Line], CovariateSet, tuple[ForwardStep, ...]]


def rank_covariates(
    rows: TrainingRows, settings: RankSettings, progress: Progress | None = None
) -> Ranking:
    """Rank the covariates and choose a set of them, judged at stations not seen.

    Whatever ranks them, the set is chosen by the station folds alone: rows of one station are
    much alike, so that errors on other rows of stations a forest has seen say little about maps.

    Raises
    ------
    InputError
        An unknown method, fewer than two stations, no covariate that varies, one covariate for
        pairs, or one group to drop.
    Cancelled
        The user stopped the run.
    """
    progress = progress or Progress()
    if settings.method not in METHODS or settings.ranking not in RANKINGS:
        raise InputError(
            f"There is no ranking '{settings.method}' by '{settings.ranking}'.",
            f"Methods are {', '.join(METHODS)}, orders {', '.join(RANKINGS)}.",
        )
    rows, constant = without_constant(rows, progress)
    scorer = SetScorer(
        rows, choose_folds(rows, settings.folds, settings.forest.seed), settings.forest
    )
    _tell_cost(settings, len(rows.covariates), scorer.folds, progress)
    static = station_constant(rows)
    _tell_static(settings, static, progress)
    whole, folds = scorer.score_all(progress.part(0.0, 0.1))
    work = _Work(settings, scorer, whole, folds)
    found = _BY_METHOD[settings.method](work, progress.part(0.1, 1.0))
    lines, beside, chosen, steps = found
    result = Ranking(
        settings=settings,
        rows=rows,
        lines=tuple(lines),
        beside=tuple(beside),
        whole=whole,
        chosen=chosen,
        folds=scorer.folds,
        fits=scorer.fits,
        constant=constant,
        static=static,
        steps=steps,
    )
    progress.info(f"Selected: {'; '.join(result.selected)}.")
    return result


def grouped(names: Iterable[str], groups: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the covariates of each group, sorted; one without a group stands for itself."""
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        found.setdefault(groups.get(name) or name, []).append(name)
    return {group: tuple(members) for group, members in sorted(found.items())}


def _rank_singly(work: _Work, progress: Progress) -> _Found:
    """Rank by an importance; the set is chosen by permutation in the station folds."""
    method = work.settings.method
    held = _importance(work, "permutation", progress.part(0.0, 0.5))
    base = float(work.whole.fold_mse.mean())
    limit = base * (1 + work.settings.tolerance) ** 2
    count = sum(base + item.value > limit for item in held)
    units = [(item.covariate,) for item in held]
    chosen = smallest_enough(
        work.scorer, units, count, work.settings.tolerance, progress.part(0.5, 0.8)
    )
    lines = _lines(work, "permutation", held, chosen)
    if method == "permutation":
        return lines, [], chosen, ()
    published = _importance(work, method, progress.part(0.8, 1.0))
    return _lines(work, method, published, chosen), lines, chosen, ()


def _rank_groups(work: _Work, progress: Progress) -> _Found:
    """Refit without each group; the loss is that of a model that never knew it."""
    groups = grouped(work.rows.covariates, work.settings.groups)
    if len(groups) < 2:
        raise InputError(
            f"All covariates are of one group ({next(iter(groups))}), so dropping it leaves none.",
            "Give a COVARIATE_TABLE with several groups, or choose another METHOD.",
        )
    without, losses = {}, {}
    for number, (group, members) in enumerate(groups.items()):
        part = progress.part(0.7 * number / len(groups), 0.7 * (number + 1) / len(groups))
        kept = [name for name in work.rows.covariates if name not in members]
        without[group] = work.scorer.score(kept, part)
        rise = without[group].fold_mse - work.whole.fold_mse
        losses[group] = Importance(group, float(rise.mean()), float(rise.std(ddof=1)))
    order = by_importance(losses.values())
    limit = (1 + work.settings.tolerance) * work.whole.rmse
    count = sum(without[item.covariate].rmse > limit for item in order)
    # the groups worth keeping come first, whichever mean they are ordered by
    order.sort(key=lambda item: without[item.covariate].rmse <= limit)
    units = [groups[item.covariate] for item in order]
    chosen = smallest_enough(
        work.scorer, units, count, work.settings.tolerance, progress.part(0.7, 1.0)
    )
    largest = max((item.value for item in order), default=0.0)
    lines = [
        Line(
            method="group-drop",
            rank=rank,
            names=groups[item.covariate],
            group=item.covariate,
            importance=item.value,
            sd=item.sd,
            relative=item.value / largest if largest > 0 else None,
            scored=without[item.covariate],
            selected=set(groups[item.covariate]) <= set(chosen.names),
        )
        for rank, item in enumerate(order, start=1)
    ]
    return lines, [], chosen, ()


def _rank_sets(work: _Work, progress: Progress) -> _Found:
    """Add the covariates one at a time by rank, and stop where nothing improves."""
    ranking = work.settings.ranking
    items = _importance(work, ranking, progress.part(0.0, 0.3))
    order = [item.covariate for item in items]
    sets = successive_sets(work.scorer, order, progress.part(0.3, 1.0))
    chosen = sets[choose_set(sets, work.settings.tolerance)]
    ranked = _lines(work, ranking, items, chosen)
    lines = [
        Line(
            method="successive",
            rank=line.rank,
            names=line.names,
            group=line.group,
            importance=line.importance,
            sd=line.sd,
            relative=line.relative,
            scored=scored,
            selected=line.selected,
        )
        for line, scored in zip(ranked, sets)
    ]
    return lines, [], chosen, ()


def _rank_forward(work: _Work, progress: Progress) -> _Found:
    steps = select_forward(work.scorer, work.settings.tolerance, progress)
    taken = [step for step in steps if step.taken]
    lines = [
        Line(
            method="forward",
            rank=rank,
            names=(step.covariate,),
            group=work.group(step.covariate),
            scored=step.scored,
            selected=step.taken,
        )
        for rank, step in enumerate(steps, start=1)
    ]
    return lines, [], taken[-1].scored, tuple(steps)


_BY_METHOD: dict[str, Callable[[_Work, Progress], _Found]] = {
    **dict.fromkeys(RANKINGS, _rank_singly),
    "group-drop": _rank_groups,
    "successive": _rank_sets,
    "forward": _rank_forward,
}


def _importance(work: _Work, method: str, progress: Progress) -> list[Importance]:
    """Return the importance of every covariate by one of `RANKINGS`, the largest first."""
    names, seed = work.rows.covariates, work.settings.forest.seed
    if method == "permutation":
        if max(len(fold.rows) for fold in work.folds) > MAX_ROWS:
            progress.info(f"In folds of more rows, {MAX_ROWS} drawn by the seed are shuffled.")
        found = permutation_importance(
            _held_out(work, progress),
            names,
            repeats=work.settings.repeats,
            max_rows=MAX_ROWS,
            seed=seed,
            progress=progress,
        )
        return by_importance(found)
    settings = work.settings.forest
    forest = settings.grow(work.rows, progress.part(0.0, 0.5))
    if method == "impurity":
        return by_importance(impurity_importance(forest, names))
    found = out_of_bag_importance(
        forest, work.rows.X, names, seed=seed, progress=progress.part(0.5, 1.0)
    )
    return sorted(found, key=lambda item: (-item.standardised, item.covariate))


def _held_out(work: _Work, progress: Progress) -> Iterable[HeldOutFold]:
    for number, fold in enumerate(work.folds):
        progress.step(number / len(work.folds))
        yield _mean_of(fold), work.rows.X[fold.rows], work.rows.y[fold.rows]


def _mean_of(fold: Fold) -> Predict:
    return lambda X: predict_forest(fold.forest, X).mean


def _lines(
    work: _Work, method: str, items: Sequence[Importance], chosen: CovariateSet
) -> list[Line]:
    values = [i.standardised if method == "out-of-bag" else i.value for i in items]
    largest = max(values)
    return [
        Line(
            method=method,
            rank=rank,
            names=(item.covariate,),
            group=work.group(item.covariate),
            importance=item.value,
            sd=item.sd,
            relative=value / largest if largest > 0 else None,
            selected=item.covariate in chosen.names,
        )
        for rank, (item, value) in enumerate(zip(items, values), start=1)
    ]


def _tell_cost(settings: RankSettings, covariates: int, folds: int, progress: Progress) -> None:
    most = {
        "group-drop": covariates + 1,
        "successive": covariates + 1,
        "forward": forward_cost(covariates) + 1,
    }.get(settings.method)
    if most is not None:
        progress.info(
            f"At most {most * folds} forests of {settings.forest.trees} trees are grown: up to "
            f"{most} sets of covariates in {folds} station folds."
        )


def _tell_static(settings: RankSettings, static: Sequence[str], progress: Progress) -> None:
    ranked_by = settings.ranking if settings.method == "successive" else settings.method
    if ranked_by not in ("out-of-bag", "impurity") or not static:
        return
    progress.warn(
        f"{ranked_by.capitalize()} importance ranks covariates too high that have one value a "
        f"station, since they tell the stations apart: {', '.join(static)}. "
        "Permutation in station folds does not."
    )
