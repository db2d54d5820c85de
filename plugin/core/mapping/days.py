"""What can be predicted on a day: covariates chosen, models able, and what the user should hear."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Sequence

from ..covariates.table import CovariateRow, CovariateTable
from ..errors import InputError
from ..models.record import SPIKE_DAYS, Model
from ..progress import Progress

_NAMED = 5


@dataclass(frozen=True)
class DayPlan:
    """The covariate rows of a day, and which models they allow.

    `rows` holds a row, or None where a covariate is missing, for every covariate of the model and
    of the fallback.
    """

    day: date
    rows: dict[str, CovariateRow | None]
    full: bool
    fallback: bool


def plan_day(table: CovariateTable, model: Model, fallback: Model | None, day: date) -> DayPlan:
    """Choose the covariates of a day.

    Raises
    ------
    InputError
        Where neither model has all its covariates: names the first one missing and the nearest
        date it has.
    """
    names = tuple(dict.fromkeys(model.names + (fallback.names if fallback else ())))
    rows = table.select(names, day)
    full = all(rows[name] is not None for name in model.names)
    second = fallback is not None and all(rows[name] is not None for name in fallback.names)
    if not full and not second:
        raise InputError(_missing_text(table, model, rows, day), _missing_cure(fallback))
    return DayPlan(day, rows, full, second)


def check_covariates(table: CovariateTable, model: Model, fallback: Model | None) -> None:
    """Raise where the table lacks covariates for good, or where those used are ambiguous."""
    used = set(model.names) | (set(fallback.names) if fallback else set())
    table.check(used & set(table.names))
    lacking = [name for name in model.names if name not in table.names]
    second = [name for name in fallback.names if name not in table.names] if fallback else lacking
    if lacking and second:
        lower = {name.lower(): name for name in table.names}
        hints = [
            f"'{lower[name.lower()]}' differs from '{name}' in case"
            for name in lacking
            if name.lower() in lower
        ]
        raise InputError(
            f"The covariate table has no {_quoted(lacking)}, which the model uses"
            f"{' (' + '; '.join(hints) + ')' if hints else ''}. It has {_quoted(table.names)}.",
            "Add the rasters to the table; bands are matched by name.",
        )


def warn_of_days(
    model: Model, fallback: Model | None, plans: Sequence[DayPlan], progress: Progress
) -> None:
    """Warn of days that are far from what the model has seen, and of full models not usable."""
    days = [plan.day for plan in plans]
    _warn_of_spikes(model, days, progress)
    if model.period is not None:
        first, last = (date.fromisoformat(text[:10]) for text in model.period)
        outside = [day for day in days if not first <= day <= last]
        if outside:
            progress.warn(
                f"{_dates(outside)} outside the period of the training rows, {first} to {last}."
            )
    without = [plan for plan in plans if not plan.full]
    if without and fallback is not None:
        missing = sorted(
            {name for plan in without for name in model.names if plan.rows[name] is None}
        )
        progress.warn(
            f"{_dates([plan.day for plan in without])} mapped by the fallback model alone: no "
            f"{_quoted(missing)} within its tolerance."
        )


def _warn_of_spikes(model: Model, days: Sequence[date], progress: Progress) -> None:
    spikes = [date.fromisoformat(text[:10]) for text in model.spike_dates]
    if not spikes:
        return
    far = [day for day in days if min(abs((day - spike).days) for spike in spikes) > SPIKE_DAYS]
    if far:
        progress.warn(
            f"{_dates(far)} more than {SPIKE_DAYS} days from every probe reading of the spiked "
            f"model ({min(spikes)} to {max(spikes)}): its correction is untested there."
        )


def _missing_text(
    table: CovariateTable, model: Model, rows: dict[str, CovariateRow | None], day: date
) -> str:
    texts = []
    for name in model.names:
        if rows[name] is not None:
            continue
        nearest = table.nearest_date(name, day)
        if nearest is None:
            texts.append(f"'{name}' (not in the covariate table)")
        else:
            apart = abs((nearest - day).days)
            texts.append(f"'{name}' (nearest date {nearest.isoformat()}, {apart} days away)")
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return f"On {day.isoformat()} there is no covariate {', '.join(texts[:_NAMED])}{more}."


def _missing_cure(fallback: Model | None) -> str:
    cure = "Choose another date, add rasters, or raise tolerance_days in the covariate table."
    return cure if fallback else f"{cure[:-1]}; a fallback model can do without some covariates."


def _quoted(names: Sequence[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(f"'{name}'" for name in names[:20]) + more


def _dates(days: Sequence[date]) -> str:
    if len(days) == 1:
        return f"{days[0].isoformat()} is"
    return f"{len(days)} dates, {min(days)} to {max(days)}, are"
