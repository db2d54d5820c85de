"""Figures of a ranking: bars of importance and scores against the number of covariates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .figures import (
    BLUE,
    DARK,
    FONT,
    GREY,
    MOST_BARS,
    ORANGE,
    new_figure,
    plain_text,
    style_axes,
)

_LIGHT = "#B9C7D0"


def rank_figure(
    names: Sequence[str],
    values: Sequence[float],
    sd: Sequence[float] | None,
    chosen: Sequence[bool],
    label: str,
) -> Figure:
    """Bars in the order given, 25 at most, with ± SD where given; those chosen stand out.

    Parameters
    ----------
    values, sd : sequence of k float
        In the unit that `label` names.
    chosen : sequence of k bool
    """
    shown = min(len(names), MOST_BARS)
    figure, axes = new_figure(5.4, 1.1 + 0.24 * shown)
    place = np.arange(shown)
    colours = [BLUE if one else _LIGHT for one in chosen[:shown]]
    error = None if sd is None else list(sd[:shown])
    axes.barh(
        place,
        list(values[:shown]),
        xerr=error,
        color=colours,
        height=0.66,
        error_kw={"ecolor": DARK, "lw": 0.8},
    )
    axes.axvline(0, color=DARK, linewidth=0.8)
    axes.set_yticks(place)
    axes.set_yticklabels([plain_text(name) for name in names[:shown]])
    axes.set_ylim(shown - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(label, size=FONT)
    return figure


def score_curves(
    count: Sequence[int], scores: Sequence[dict[str, Any]], chosen: int, refused: int | None = None
) -> Figure:
    """RMSE and ubRMSE, r, bias and slope of sets against their number of covariates.

    Parameters
    ----------
    count : sequence of k int
    scores : sequence of k dict
        As `metrics.score` gives them.
    chosen : int
        Place of the set that was chosen.
    refused : int, optional
        Place of a set that was tried and not taken.
    """
    figure = Figure(figsize=(7.6, 4.6), constrained_layout=True)
    panels = figure.subplots(2, 2, sharex=True)
    kinds = (
        ("RMSE and ubRMSE (m³ m⁻³)", (("rmse", "RMSE", BLUE), ("ubrmse", "ubRMSE", ORANGE)), None),
        ("r", (("r", "r", BLUE),), None),
        ("ME (m³ m⁻³)", (("me", "ME", BLUE),), 0.0),
        ("slope, measured on predicted", (("slope", "slope", BLUE),), 1.0),
    )
    for axes, (label, lines, ideal) in zip(panels.ravel(), kinds):
        style_axes(axes)
        if ideal is not None:
            axes.axhline(ideal, color=DARK, linewidth=0.8)
        axes.axvline(count[chosen], color=GREY, linewidth=1.0, linestyle="--")
        for score, name, colour in lines:
            _curve(axes, count, _values(scores, score), colour, name, (chosen, refused))
        if lines[0][0] == "me":
            axes.set_ylim(*_bias_limits(scores))
        axes.set_ylabel(label, size=FONT)
        axes.set_xlim(0.5, max(count) + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True)
    panels[0, 0].legend(frameon=False, fontsize=FONT - 1)
    for axes in panels[1]:
        axes.set_xlabel("number of covariates", size=FONT)
    return figure


def _curve(
    axes: Any,
    count: Sequence[int],
    values: np.ndarray,
    colour: str,
    name: str,
    marks: tuple[int, int | None],
) -> None:
    chosen, refused = marks
    over = name == "ubRMSE"  # lies on the RMSE where there is no bias
    axes.plot(
        count, values, color=colour, linewidth=1.3, linestyle="--" if over else "-", marker="o",
        markersize=2.4 if over else 3.8, label=name,
    )  # fmt: skip
    axes.plot(
        [count[chosen]],
        [values[chosen]],
        marker="o",
        markersize=9,
        markerfacecolor="none",
        markeredgecolor=DARK,
        markeredgewidth=1.3,
        linestyle="none",
    )
    if refused is not None:
        axes.plot([count[refused]], [values[refused]], marker="x", markersize=8, color=DARK)


def _values(scores: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([np.nan if one[name] is None else one[name] for one in scores], dtype=float)


def _bias_limits(scores: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Return limits about 0 of at least a quarter of the smallest RMSE: less bias is nothing."""
    widest = max(abs(one["me"]) for one in scores)
    end = max(1.15 * widest, 0.25 * min(one["rmse"] for one in scores))
    return -end, end
