"""The report of a covariate table: what is there on which days, where, with what values."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...covariates.inventory import CovariateFacts, Inventory
from ...covariates.inventory_days import Gap
from ...errors import InputError
from ...rasters.grids import (
    GDAL_ERRORS,
    Extent,
    Grid,
    crs_name,
    crs_text,
    parse_crs,
    transform_extent,
)
from .covariate_timeline import timeline
from .figures import metres_per_unit
from .report import (
    MISSING,
    Html,
    bullets,
    count,
    facts,
    folded,
    general,
    heading,
    join,
    made_now,
    page,
    paragraph,
    percent,
    plural,
    section,
    strong,
    table,
    tiles,
    write_page,
)
from .sections import warnings_box

_MOST_GAPS = 30  # shown at once; the rest is folded
_MOST_GRIDS = 40
_MOST_NAMES = 12


def covariate_report(
    inventory: Inventory, path: str | Path, *, name: str = "", warnings: Sequence[str] = ()
) -> None:
    """Write the report of a covariate table as one HTML file.

    Parameters
    ----------
    inventory : Inventory
    path : path
        An earlier file stays until the new one is complete.
    name : str
        The table's file.
    warnings : sequence of str
        What the run warned of.
    """
    html = page(
        "Covariate table",
        f"{name + ': ' if name else ''}{plural(inventory.rows, 'row')}; {made_now()}",
        _summary(inventory),
        warnings_box(warnings),
        _time_section(inventory),
        _covariate_section(inventory),
        _value_section(inventory),
        _grid_section(inventory),
        _class_section(inventory),
    )
    write_page(html, Path(path))


def cell_text(grid: Grid) -> str:
    """Return the cell size in metres; of a grid in other units, in those and in metres.

    Degrees are turned into metres at the middle of the grid.
    """
    width, height = grid.resolution
    east, north = _metres(grid)
    own = _by(width, height)
    if not east:
        return own
    metres = f"{_by(width * east, height * north)}\u202fm"
    if grid.is_geographic:
        return f"{own}° ≈ {metres}"
    return metres if math.isclose(east, 1) else f"{own} = {metres}"


def system_name(crs: str) -> str:
    """Return a short name of a reference system; of one without name, its kind of projection."""
    name = crs_name(crs)
    if name.lower() not in ("unnamed", "unknown", ""):
        return name
    method = re.search(r'(?:METHOD|PROJECTION)\["([^"]+)"', crs_text(crs))
    return f"{method[1]}, unnamed" if method else "unnamed"


def _metres(grid: Grid) -> tuple[float, float]:
    """Return the metres that one unit of x and of y stands for; 0 where it cannot be told."""
    if grid.is_geographic:
        return metres_per_unit(crs_text(grid.crs), (grid.bounds[1] + grid.bounds[3]) / 2)
    try:
        factor = float(parse_crs(grid.crs).linear_units_factor[1])
    except (*GDAL_ERRORS, ValueError):
        factor = 0.0
    return factor, factor


def _by(width: float, height: float) -> str:
    if math.isclose(width, height, rel_tol=1e-4):
        return _short(width)
    return f"{_short(width)} × {_short(height)}"


def _short(value: float) -> str:
    """Return a length with four digits that count, or all before the point."""
    return f"{value:.0f}" if value >= 1e4 else f"{value:.4g}"


def _summary(inventory: Inventory) -> Html:
    dated = len(inventory.dated)
    static = len(inventory.covariates) - dated
    text = f"{plural(len(inventory.covariates), 'covariate')}: {static} static, {dated} dated."
    period = inventory.period
    if period:
        text += (
            f" On {count(inventory.complete_days)} of the {plural(inventory.days, 'day')} from "
            f"{period[0]} to {period[1]} every dated covariate has a row within its tolerance."
        )
    systems = {system_name(grid.crs) for grid in inventory.grids}
    first = min((one.period[0] for one in inventory.dated if one.period), default=None)
    shown = [
        ("Covariates", count(len(inventory.covariates)), f"{static} static, {dated} dated"),
        ("Rows", count(inventory.rows), plural(_rasters(inventory), "raster")),
    ]
    if period and first:
        share = inventory.complete_days / inventory.days
        shown += [
            ("Period", f"{period[0]}", f"to {period[1]}, {plural(inventory.days, 'day')}"),
            ("Complete days", percent(share), f"{count(inventory.complete_days)} of the period"),
        ]
    shown.append(("Grids", count(len(inventory.grids)), plural(len(systems), "reference system")))
    return join(paragraph(text, kind="lead"), tiles(shown))


def _rasters(inventory: Inventory) -> int:
    return len({row.path for one in inventory.covariates for row in one.rows})


def _time_section(inventory: Inventory) -> Html:
    if inventory.period is None:
        return section(
            "Time line", paragraph("All covariates are static: they hold for every day.")
        )
    gapped = _gapped(inventory)
    parts = [
        paragraph(
            "A model can be used on a day on which each of its covariates has a row that holds for "
            "it, or one within its tolerance. Static covariates hold always and are not shown.",
            kind="small",
        ),
        timeline(inventory),
        heading("Days without any row within the tolerance"),
    ]
    if not gapped:
        parts.append(paragraph("None: every dated covariate serves every day of the period."))
        return section("Time line", *parts)
    rows = [
        (names if place == 0 else "", gap, tolerance)
        for names, gaps, tolerance in gapped
        for place, gap in enumerate(gaps)
    ]
    parts += [_gap_totals(gapped, inventory.days), _gap_table(rows[:_MOST_GAPS])]
    if len(rows) > _MOST_GAPS:
        parts.append(folded(f"{len(rows) - _MOST_GAPS} more", _gap_table(rows[_MOST_GAPS:])))
    return section("Time line", *parts)


def _gapped(inventory: Inventory) -> list[tuple[str, tuple[Gap, ...], str]]:
    """Return covariates with the same gaps together: names, gaps and tolerance."""
    found: dict[Any, list[CovariateFacts]] = {}
    for one in inventory.dated:
        if one.gaps:
            key = (tuple((gap.start, gap.end) for gap in one.gaps), _tolerances(one))
            found.setdefault(key, []).append(one)
    return [
        (_few([one.name for one in same]), same[0].gaps, tolerance)
        for (_, tolerance), same in found.items()
    ]


def _gap_totals(gapped: Sequence[tuple[str, tuple[Gap, ...], str]], days: int) -> Html:
    listed = []
    for names, gaps, _ in gapped:
        total = sum(gap.days for gap in gaps)
        listed.append(f"{names} {plural(total, 'day')} ({percent(total / days)})")
    return paragraph("In all: ", "; ".join(listed), ".")


def _gap_table(rows: Sequence[tuple[str, Gap, str]]) -> Html:
    """Return gaps as a table, the names of covariates before the first of theirs."""
    starts = [place for place, row in enumerate(rows) if row[0]]
    cells = [[names, gap.start, gap.end, gap.days, days] for names, gap, days in rows]
    header = ["covariates", "from", "to", "days", "tolerance"]
    return table(header, cells, starts=starts)


def _tolerances(one: CovariateFacts) -> str:
    found = sorted({row.tolerance_days for row in one.rows})
    return f"{found[0]}" if len(found) == 1 else f"{found[0]}–{found[-1]}"


def _covariate_section(inventory: Inventory) -> Html:
    ordered = _by_group(inventory)
    rows: list[list[Any]] = []
    starts: list[int] = []
    before = None
    for one in ordered:
        if one.group != before:
            starts.append(len(rows))
        name = (one.group or "no group") if one.group != before else ""
        before = one.group
        period = one.period
        rows.append(
            [
                name,
                one.name,
                ", ".join(units or "none" for units in one.units) if any(one.units) else MISSING,
                ", ".join(dict.fromkeys(row.resampling for row in one.rows)),
                count(len(one.rows)),
                *([period[0], period[1]] if period else ["static", ""]),
                general(one.interval) if period else "",
                _tolerances(one) if period else "",
            ]
        )
    header = ["group", "covariate", "unit", "resampling", "rows", "first day", "last day"]
    header += ["every", "tolerance"]
    note = paragraph(
        "Every: median of the days from one row to the next. Tolerance in days. Reports of models "
        "sum up importance by group.",
        kind="small",
    )
    return section("Covariates", table(header, rows, text_columns=4, starts=starts), note)


def _by_group(inventory: Inventory) -> list[CovariateFacts]:
    groups = list(dict.fromkeys(one.group for one in inventory.covariates))
    groups.sort(key=lambda group: not group)  # those without a group at the end
    return [one for group in groups for one in inventory.covariates if one.group == group]


def _value_section(inventory: Inventory) -> Html:
    rows = []
    for one in _by_group(inventory):
        limits = one.limits
        grid = inventory.grids[one.grids[0]] if one.grids else None
        more = f" and {len(one.grids) - 1} more" if len(one.grids) > 1 else ""
        rows.append(
            [
                one.name,
                f"{system_name(grid.crs)}{more}" if grid else MISSING,
                f"{count(grid.width)} × {count(grid.height)}" if grid else MISSING,
                cell_text(grid) if grid else MISSING,
                percent(one.missing),
                general(limits[0]) if limits else MISSING,
                general(limits[1]) if limits else MISSING,
                f"{count(len(one.looked))} of {count(len(one.rows))}",
            ]
        )
    header = ["covariate", "reference system", "columns × rows", "cell", "missing cells"]
    header += ["smallest", "largest", "rows looked at"]
    note = paragraph(
        "Missing cells and values are those of a look, not of every cell: rasters of more than a "
        "million cells are read in 64 windows of 64 × 64 cells spread evenly over them, and long "
        "series in a part of their dates.",
        kind="small",
    )
    return section("Rasters and values", table(header, rows, text_columns=2), note)


def _grid_section(inventory: Inventory) -> Html:
    lines = []
    for place, grid in enumerate(inventory.grids[:_MOST_GRIDS]):
        names = [one.name for one in inventory.covariates if place in one.grids]
        edges = [f"{edge:.9g}".replace("-", "−") for edge in grid.bounds]
        lines.append(
            (
                f"{system_name(grid.crs)}, {cell_text(grid)}",
                join(
                    strong(", ".join(names)),
                    f": {count(grid.width)} × {count(grid.height)} cells, left {edges[0]}, bottom "
                    f"{edges[1]}, right {edges[2]}, top {edges[3]}",
                ),
            )
        )
    parts = [facts(lines)]
    if len(inventory.grids) > _MOST_GRIDS:
        parts.append(paragraph(f"and {len(inventory.grids) - _MOST_GRIDS} more grids."))
    parts += [heading("Where they lie"), _system_list(inventory)]
    if inventory.unread:
        parts += [heading("Rasters that cannot be opened"), bullets(inventory.unread[:_MOST_GRIDS])]
    return section("Grids and reference systems", *parts)


def _system_list(inventory: Inventory) -> Html:
    """Return where each reference system's rasters lie, in degrees."""
    systems: dict[str, list[Grid]] = {}
    for grid in inventory.grids:
        systems.setdefault(grid.crs, []).append(grid)
    items = []
    for crs, grids in systems.items():
        edges = [grid.bounds for grid in grids]
        union = (
            min(e[0] for e in edges),
            min(e[1] for e in edges),
            max(e[2] for e in edges),
            max(e[3] for e in edges),
        )
        items.append(f"{system_name(crs)}: {plural(len(grids), 'grid')}{_degrees(crs, union)}")
    return bullets(items)


def _degrees(crs: str, extent: Extent) -> str:
    """Return where an extent lies on Earth, in words; nothing where that cannot be told."""
    try:
        degrees = transform_extent(crs, "EPSG:4326", extent)
    except InputError:
        return ""
    if not all(math.isfinite(edge) for edge in degrees):
        return ""
    west, south, east, north = (f"{edge:.3f}".replace("-", "−") for edge in degrees)
    return f", longitude {west} to {east}, latitude {south} to {north}"


def _few(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _class_section(inventory: Inventory) -> Html:
    items = [
        join(
            strong(one.name),
            ": ",
            ", ".join(f"{code} {name}" for code, name in sorted(one.classes.items())),
        )
        for one in inventory.covariates
        if one.classes
    ]
    return section("Classes", bullets(items)) if items else Html("")
