"""What reports say of alternatives to spiking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...models.alternatives import LEAF_STATIONS, Alternative, Shift
from ...models.heldout import HeldOut
from ...models.spiking import SpikeResult
from ...models.verdict import paired_t
from ..by_station import balanced_rmse
from ..metrics import score
from .report import UNIT, Html, count, heading, number, paragraph, percent, section, table

NAMES = {"bias": "bias correction", "residual": "residual forest"}
_HEADER = [
    "model",
    "n",
    "stations",
    "RMSE",
    "RMSE, stations alike",
    "ME",
    "inside 90 %",
    "width",
]


def alternatives_section(
    alternatives: Sequence[Alternative],
    loso: Sequence[tuple[str, HeldOut | None]],
    validate: Sequence[tuple[str, HeldOut | None]],
    judged: str,
    *,
    explained: bool = True,
) -> Html:
    """Return the scores of alternatives beside those of the models reported; nothing for none.

    Parameters
    ----------
    alternatives : sequence of Alternative
    loso, validate : sequence of (name, HeldOut or None)
        The models reported, at spike stations left out and at validate stations.
    judged : str
        Name of the one that the others are compared with.
    explained : bool
        Whether to say how far the bias correction moves the predictions.
    """
    parts = []
    sides = (
        ("Spike stations, each left out in turn", loso, [(a.name, a.loso) for a in alternatives]),
        ("Validate stations", validate, [(a.name, a.validate) for a in alternatives]),
    )
    for title, shown, others in sides:
        lines = [*shown, *[(NAMES[name], held) for name, held in others]]
        known = [(name, held) for name, held in lines if held is not None]
        if any(held is not None for _, held in others):
            parts += [heading(title), _score_table(known, judged)]
    if not parts:
        return Html("")
    return section(
        "Alternatives",
        paragraph(
            "The alternatives need the model file only, not its training rows. The bias correction "
            "adds a constant to every prediction; the residual forest adds what a forest of the "
            "residuals at the spike stations predicts from the covariates, its leaves of about "
            f"{LEAF_STATIONS} stations each."
        ),
        *[paragraph(shift_text(a.shift)) for a in alternatives if explained and a.shift],
        *parts,
        paragraph(
            "t: gain in mean squared error over the model of the line marked, paired over "
            "stations; above 2 it is hardly chance, below 1 there is no telling. Descriptive: the "
            "stations share dates.",
            kind="small",
        ),
    )


def spiking_alternatives(result: SpikeResult, alternatives: Sequence[Alternative]) -> Html:
    """Return the alternatives beside the models of a spiking."""
    return alternatives_section(
        alternatives,
        [
            ("before spiking", result.loso_before),
            ("spiked", result.loso_after),
            ("local only", result.loso_local),
        ],
        [
            ("before spiking", result.validate_before),
            ("spiked", result.validate_after),
            ("local only", result.validate_local),
        ],
        "spiked",
    )


def shift_text(shift: Shift) -> str:
    """Return in a sentence how far predictions are moved, and why not further."""
    return (
        f"Bias correction: at {count(shift.stations)} spike stations the model is off by "
        f"{number(shift.mean, signed=True)} {UNIT} (measured − predicted, stations alike; standard "
        f"error {number(shift.error)}); {percent(shift.factor)} of it is kept, "
        f"{number(shift.value, signed=True)}, since the rest may be chance."
    )


def _score_table(known: Sequence[tuple[str, HeldOut]], judged: str) -> Html:
    reference = next((held for name, held in known if name == judged), None)
    lines, marked = [], []
    for place, (name, held) in enumerate(known):
        low, high = held.bounds(0.9)
        row = score(held.rows.y, held.mean, lower=low, upper=high)
        t = "–"
        if reference is not None and name != judged:
            t = number(_gain(reference, held), 1, signed=True)
        if name == judged:
            marked.append(place)
        lines.append(
            [
                name,
                count(len(held)),
                count(len(np.unique(held.rows.station.astype(str)))),
                number(row["rmse"]),
                number(balanced_rmse(held)),
                number(row["me"], signed=True),
                percent(row.get("picp90")),
                number(row.get("width90")),
                t,
            ]
        )
    return table([*_HEADER, "t"], lines, caption=f"RMSE, ME and width in {UNIT}", marked=marked)


def _gain(reference: HeldOut, held: HeldOut) -> float:
    """Return t of the gain in squared error over the reference, paired over stations."""
    old, new = reference.station_errors(), held.station_errors()
    names = sorted(set(old) & set(new))
    if len(names) < 2:
        return float("nan")
    return paired_t(np.array([old[name] - new[name] for name in names]))
