"""What a comparison of two maps found, as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..comparison import Comparison
from ..comparison_maps import MapBand
from ..comparison_scores import SIDES, comparison_row
from ..comparison_statistics import QUANTILES
from ..metrics import Row
from .comparison_figures import distribution_figure, map_figure
from .covariate_report import cell_text, system_name
from .report import (
    UNIT,
    Html,
    count,
    facts,
    join,
    number,
    page,
    paragraph,
    percent,
    picture,
    section,
    table,
    tiles,
    write_page,
)
from .sections import warnings_box

_RESAMPLED = {
    "": "its own cells",
    "nearest": "nearest cell",
    "bilinear": "interpolated bilinearly",
    "average": "averaged by area",
}


def comparison_report(comparison: Comparison, path: Path, *, warnings: Sequence[str] = ()) -> None:
    """Write the page.

    Parameters
    ----------
    comparison : Comparison
    path : Path
        The ``.html``.
    warnings : sequence of str
        What the run warned of.
    """
    row = comparison_row(comparison)
    first, second = comparison.maps
    names = _names(first, second)
    write_page(
        page(
            "Two maps compared",
            f"{first.name} − {second.name}",
            warnings_box(warnings),
            _tiles(row),
            _maps(comparison, names),
            _distributions(comparison, names),
            _scores(row),
            _data(comparison),
        ),
        path,
    )


def _names(first: MapBand, second: MapBand) -> tuple[str, str]:
    """Return names short enough for a figure; those that would be the same get their role."""
    names = [_short(one.name) for one in (first, second)]
    if names[0] == names[1]:
        return f"input: {names[0]}", f"reference: {names[1]}"
    return names[0], names[1]


def _short(name: str, most: int = 34) -> str:
    return name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-most // 2 :]}"


def _tiles(row: Row) -> Html:
    return tiles(
        [
            ("Mean difference", number(row["me"], 3, signed=True), f"{UNIT}, input − reference"),
            ("Unbiased RMSD", number(row["ubrmse"]), f"{UNIT}; RMSD {number(row['rmse'])}"),
            ("Correlation", number(row["r"], 2), "Pearson's r over the cells"),
            ("K–L divergence", number(row["kl"], 3), "0 = the same distribution"),
            ("Cells", count(row["n"]), "with a value in both maps"),
        ]
    )


def _maps(comparison: Comparison, names: tuple[str, str]) -> Html:
    limit = f"{comparison.widest:g}"
    turned = " The grid is rotated: north is not up." if comparison.grid.is_rotated else ""
    return section(
        "Where they differ",
        picture(
            map_figure(comparison, names),
            "Both maps have one scale of colours. Brown: the input is drier; blue-green: wetter "
            f"(colours end at ± {limit} {UNIT}). Grey: no value.{turned}",
            "Maps of the input, the reference and their difference",
        ),
    )


def _distributions(comparison: Comparison, names: tuple[str, str]) -> Html:
    figure = distribution_figure(comparison.counts, comparison.moments, comparison.widest, names)
    return section(
        "How they differ",
        picture(
            figure,
            "Share of the cells in equal steps of moisture and of the difference; cell against "
            "cell with the 1:1 line.",
            "Histograms of both maps and of their difference; density of input against reference",
        ),
    )


def _scores(row: Row) -> Html:
    threshold = f"{row['threshold']:g}"
    kept = [
        ("Cells", count(row["n"])),
        ("Mean difference (ME)", number(row["me"], 4, signed=True)),
        ("Mean absolute difference", number(row["mae"], 4)),
        ("RMSD", number(row["rmse"], 4)),
        ("Unbiased RMSD", number(row["ubrmse"], 4)),
        ("Pearson's r", number(row["r"])),
        ("Slope of reference on input", number(row["slope"])),
        ("K–L divergence, reference from input", number(row["kl"])),
        (f"Input wetter by more than {threshold}", percent(row["wetter"], 1)),
        (f"Input drier by more than {threshold}", percent(row["drier"], 1)),
    ]
    if row.get("picp90") is not None:
        kept.append(("Reference inside the input's 90\u202f% interval", percent(row["picp90"], 1)))
        kept.append(("Mean width of these intervals", number(row["width90"], 4)))
    return section(
        "Numbers",
        table(("", "value"), kept, caption=f"Agreement ({UNIT} where there is a unit)"),
        table(
            ("", "input", "reference", "difference"),
            [_line(row, label, key) for label, key in _lines()],
            caption=f"Distributions over the cells ({UNIT})",
        ),
        paragraph(
            "Standard deviations are those of the cells (sums divided by n). The Kullback–Leibler "
            "divergence compares the distributions alone, whatever cell a value is in: 20 equal "
            "bins from the smallest to the largest value of both maps, 0.5 added to each count. "
            "Neighbouring cells resemble each other, so n says nothing of certainty.",
            kind="note",
        ),
    )


def _lines() -> list[tuple[str, str]]:
    levels = [(f"quantile {level:g}", f"q{round(100 * level):02d}") for level in QUANTILES]
    moments = [("mean", "mean"), ("standard deviation", "sd"), ("coefficient of variation", "cv")]
    return [*moments, ("smallest", "min"), *levels, ("largest", "max")]


def _line(row: Row, label: str, key: str) -> list[str]:
    if key == "cv":
        return [label, *(percent(row[f"cv_{side}"], 1) for side in SIDES), ""]
    difference = {"mean": row["me"], "sd": row["ubrmse"]}.get(key, row.get(f"{key}_difference"))
    shown = [number(row[f"{key}_{side}"], 4) for side in SIDES]
    return [label, *shown, number(difference, 4, signed=key != "sd")]


def _data(comparison: Comparison) -> Html:
    pairs: list[tuple[str, Any]] = []
    for role, one, how in zip(("Input", "Reference"), comparison.maps, comparison.resampling):
        parts = [one.path.name, _band(one)]
        if one.day:
            parts.append(one.day.isoformat())
        parts += [f"cells of {cell_text(one.grid)}", system_name(one.grid.crs), _RESAMPLED[how]]
        if one.factor != 1:
            parts.append("percent, divided by 100")
        pairs.append((role, " · ".join(parts)))
    grid = comparison.grid
    pairs.append(
        (
            "Compared on",
            f"{grid.width} × {grid.height} cells of {cell_text(grid)} · {system_name(grid.crs)}",
        )
    )
    if comparison.uncovered:
        pairs.append(
            ("Left out", f"{count(comparison.uncovered)} cells that the finer map hardly covers")
        )
    return join(section("Data", facts(pairs)))


def _band(one: MapBand) -> str:
    plain = f"band {one.band}"
    return plain if one.info.name == plain else f"{plain}: {one.info.name}"
