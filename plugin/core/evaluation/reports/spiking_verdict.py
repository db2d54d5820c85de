"""What spiking brought, in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from ...models.spiking import MIN_SPIKES, SpikeResult
from ...models.verdict import LOCAL_SPIKES, judge
from ..by_station import balanced_rmse
from ..metrics import Row, find_row
from .report import UNIT, number, plural

_SAID = {
    "helps": "Spiking helps here",
    "probably": "Spiking probably helps here",
    "not shown": "It is not shown that spiking helps here",
}


def verdict_text(result: SpikeResult) -> list[str]:
    """Return the verdict of leaving spike stations out, the most important sentence first."""
    stations = spike_stations(result)
    verdict = result.verdict
    if verdict is None or result.loso_before is None or result.loso_after is None:
        return [
            f"With {plural(stations, 'spike station')} it cannot be told whether spiking helps "
            f"here: at least {MIN_SPIKES} are needed."
        ]
    before, after = balanced_rmse(result.loso_before), balanced_rmse(result.loso_after)
    moved = "falls" if after < before else "rises"
    texts = [
        f"{_SAID[verdict.spiking]}: at the {stations} spike stations, each left out in turn, the "
        f"error (RMSE, each station counting alike) {moved} from {number(before)} to "
        f"{number(after)} {UNIT}."
    ]
    if result.loso_local is not None:
        local = balanced_rmse(result.loso_local)
        texts.append(_local_text(local, after, stations, verdict.local_may_do_better))
    return texts


def validation_text(result: SpikeResult, scores: Sequence[Row]) -> str:
    """Return what the validate stations say of the verdict; '' where there are none.

    Parameters
    ----------
    result : SpikeResult
    scores : sequence of dict
        Scores of the validate stations, sources ``before``, ``after`` and ``local``.
    """
    old, new = find_row(scores, "overall", "before"), find_row(scores, "overall", "after")
    if old is None or new is None or not new["n"]:
        return ""
    text = (
        f"At {plural(new['stations'], 'validate station')} that took no part "
        f"({plural(new['n'], 'row')}) RMSE goes from {number(old['rmse'])} to "
        f"{number(new['rmse'])} {UNIT}, ME from {number(old['me'], signed=True)} to "
        f"{number(new['me'], signed=True)}"
    )
    local = find_row(scores, "overall", "local")
    if local is not None:
        does = "may do better there, with" if _local_better(result) else "give"
        text += f"; local readings alone {does} an RMSE of {number(local['rmse'])}"
    if result.verdict is None:
        return f"{text}."
    gained, promised = new["rmse"] < old["rmse"], result.verdict.spiking != "not shown"
    if gained == promised:
        return f"{text}. This bears the verdict out."
    return f"{text}. This does not bear the verdict out: trust these stations more."


def spike_stations(result: SpikeResult) -> int:
    """Return the number of stations spiked with."""
    return len(set(result.spikes.station.astype(str).tolist()))


def _local_better(result: SpikeResult) -> bool:
    """Whether local readings alone may do better at the validate stations, by the same rule."""
    sides = (result.validate_before, result.validate_after, result.validate_local)
    errors = [held.station_errors() for held in sides if held is not None]
    return len(errors) == 3 and len(errors[0]) > 1 and judge(*errors).local_may_do_better


def _local_text(local: float, after: float, stations: int, better: bool) -> str:
    if better:
        return (
            f"Local readings alone may do better: {number(local)} {UNIT} with a model of the local "
            f"readings only, against {number(after)} with the spiked model."
        )
    if stations < LOCAL_SPIKES:
        return (
            f"A model of the local readings alone errs by {number(local)} {UNIT}; whether it may "
            f"do better is judged from {LOCAL_SPIKES} spike stations on."
        )
    than = "is not clearly better" if local < after else "is no better"
    return f"A model of the local readings alone {than} there ({number(local)} {UNIT})."
