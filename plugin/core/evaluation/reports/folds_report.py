"""The report of a split: folds or roles on a map, their sizes, and the distances between them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.spatial import ConvexHull, QhullError

from ...rasters.grids import crs_text, transform_points
from ...stations.folds.splits_facts import BOTH_SIDES, Distances, SplitFacts
from ...stations.roles import SPIKE, TRAIN, VALIDATE
from .figures import (
    BLUE,
    DARK,
    GREEN,
    GREY,
    ORANGE,
    VERMILION,
    frame_map,
    metres_per_unit,
    new_figure,
    plain_text,
)
from .report import (
    MISSING,
    Html,
    count,
    gallery,
    join,
    made_now,
    number,
    page,
    paragraph,
    picture,
    plural,
    section,
    table,
    tiles,
    write_page,
)
from .sections import warnings_box

_COLOURS = (BLUE, ORANGE, GREEN, VERMILION, "#CC79A7", "#56B4E9", "#7A5C00", DARK)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_ROLES = {TRAIN: (BLUE, "o"), VALIDATE: (ORANGE, "s"), SPIKE: (VERMILION, "^")}
_DOMAIN = "#C2C2C2"
_OUTLINE = "#9A9A9A"
_MOST_NETWORKS = 15  # named on the map
_MOST_COLUMNS = 12
_MOST_IN_LEGEND = 20


def folds_report(
    facts: SplitFacts,
    path: str | Path,
    *,
    method: str,
    name: str = "",
    warnings: Sequence[str] = (),
) -> None:
    """Write the report of a split as one HTML file.

    Parameters
    ----------
    facts : SplitFacts
    path : path
        An earlier file stays until the new one is complete.
    method : str
        How the stations were split.
    name : str
        The table that was split.
    warnings : sequence of str
        What the run warned of.
    """
    html = page(
        "Split of stations",
        f"{name + ': ' if name else ''}{plural(len(facts.places.names), 'station')}, method "
        f"{method}; {made_now()}",
        _summary(facts),
        warnings_box(warnings),
        _map_section(facts),
        _distance_section(facts),
        _size_section(facts),
    )
    write_page(html, Path(path))


def fold_map(facts: SplitFacts) -> Figure:
    """Draw where the stations of each fold or role stand.

    Grey dots are the domain, grey lines run around the stations of a network.
    """
    places, known = facts.places, facts.places.known
    x, y = places.x[known], places.y[known]
    domain_x, domain_y = _domain_places(facts)
    wkt = crs_text(places.crs)
    reach = [np.concatenate([x, domain_x]), np.concatenate([y, domain_y])]
    figure, axes = new_figure(6.6, _height(reach[0], reach[1], wkt))
    if domain_x.size:
        axes.scatter(domain_x, domain_y, s=3, color=_DOMAIN, linewidths=0, label="domain")
    _outline_networks(axes, x, y, facts.network[known])
    size = 34 if len(x) <= 80 else 20 if len(x) <= 400 else 9
    for place, group in enumerate(facts.groups):
        colour, marker = _look(group, place)
        own = facts.group[known] == group
        axes.scatter(
            x[own],
            y[own],
            s=size,
            color=colour,
            marker=marker,
            edgecolors="white",
            linewidths=0.5,
            label=_legend(facts.field, group, int(own.sum())),
        )
    frame_map(axes, reach[0], reach[1], wkt)
    if len(facts.groups) <= _MOST_IN_LEGEND:
        axes.legend(
            frameon=False,
            fontsize=8,
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            handletextpad=0.3,
        )
    return figure


def distance_figure(distances: Distances) -> Figure:
    """Draw the shares of stations, and of the map, that have a station within a distance.

    The grey area between the map and the folds is W.
    """
    figure, axes = new_figure(5.2, 3.8)
    shown = [distances.between, distances.across]
    shown += [distances.to_map] if distances.to_map is not None else []
    widest = max(float(np.quantile(values, 0.99)) for values in shown)
    factor, unit = (1000.0, "km") if widest >= 5000 else (1.0, "m")
    limit = 1.05 * max(widest, 1e-9)
    if distances.to_map is not None:
        grid = np.linspace(0, limit, 1000)
        axes.fill_between(
            grid / factor,
            _share(distances.to_map, grid),
            _share(distances.across, grid),
            color="#EDEDED",
            linewidth=0,
        )
        _steps(axes, distances.to_map, limit, factor, DARK, "-", "map to stations, $G_{ij}$")
    _steps(axes, distances.across, limit, factor, ORANGE, "-", "this split, $G_j^*$")
    _steps(axes, distances.between, limit, factor, BLUE, "--", "station to station, $G_j$")
    axes.set_xlim(0, limit / factor)
    axes.set_ylim(0, 101)
    axes.set_xlabel(f"distance to the nearest station ({unit})")
    axes.set_ylabel("share within the distance (%)")
    axes.legend(frameon=False, fontsize=8, loc="best")
    return figure


def _domain_places(facts: SplitFacts) -> tuple[np.ndarray, np.ndarray]:
    """Return the points of the domain in the system of the stations; none without a domain."""
    domain = facts.domain
    if domain is None:
        return np.empty(0), np.empty(0)
    x, y = transform_points(domain.crs, facts.places.crs, domain.x.tolist(), domain.y.tolist())
    seen = np.isfinite(x) & np.isfinite(y)
    return x[seen], y[seen]


def _height(x: np.ndarray, y: np.ndarray, crs: str) -> float:
    """Return the height of a map of these points in inches, so that little is left empty."""
    east, north = metres_per_unit(crs, float(y.min() + y.max()) / 2)
    wide, high = float(np.ptp(x)), float(np.ptp(y)) * (north / east if east else 1.0)
    return float(np.clip(5.0 * high / wide, 3.0, 5.2)) if wide > 0 else 5.2


def _look(group: str, place: int) -> tuple[str, str]:
    if group in _ROLES:
        return _ROLES[group]
    if group == BOTH_SIDES:
        return GREY, "o"
    turn = place // len(_COLOURS)
    return _COLOURS[place % len(_COLOURS)], _MARKERS[(place + turn) % len(_MARKERS)]


def _legend(field: str, group: str, stations: int) -> str:
    return f"{'fold ' if field == 'fold' else ''}{plain_text(group)} ({stations})"


def _outline_networks(axes: Any, x: np.ndarray, y: np.ndarray, network: np.ndarray) -> None:
    """Draw a line around the stations of each network, with its name."""
    names = sorted(set(network) - {""})
    near = 0.05 * max(float(np.ptp(x)), float(np.ptp(y)))
    written: list[np.ndarray] = []
    for name in names:
        own = np.column_stack([x[network == name], y[network == name]])
        corners = own
        if len(own) > 2:
            try:
                corners = own[ConvexHull(own - own.mean(axis=0)).vertices]
            except QhullError:  # on one line
                corners = own[np.lexsort((own[:, 1], own[:, 0]))]
        ring = np.vstack([corners, corners[:1]])
        axes.plot(ring[:, 0], ring[:, 1], color=_OUTLINE, linewidth=0.8)
        if len(names) <= _MOST_NETWORKS:
            top = _free_corner(corners, written, near)
            written.append(top)
            axes.annotate(
                plain_text(name),
                (float(top[0]), float(top[1])),
                xytext=(0, 6),
                textcoords="offset points",
                size=7,
                ha="center",
                color="#555555",
                bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.6},
            )


def _free_corner(corners: np.ndarray, written: Sequence[np.ndarray], near: float) -> np.ndarray:
    """Return the highest corner that no earlier name stands close to, else the highest."""
    order = np.argsort(-corners[:, 1], kind="stable")
    for corner in corners[order]:
        gaps = [np.abs(corner - other) for other in written]
        if all(gap[0] > 4 * near or gap[1] > near for gap in gaps):
            return np.asarray(corner)
    return np.asarray(corners[order[0]])


def _steps(
    axes: Any,
    values: np.ndarray,
    limit: float,
    factor: float,
    colour: str,
    style: str,
    label: str,
) -> None:
    ordered = np.sort(values[np.isfinite(values)])
    x = np.concatenate([[0.0], ordered, [max(limit, float(ordered[-1]))]])
    y = np.concatenate([[0.0], np.arange(1, len(ordered) + 1) / len(values), [1.0]])
    axes.step(
        x / factor, 100 * y, where="post", color=colour, linestyle=style, linewidth=1.5, label=label
    )


def _share(values: np.ndarray, grid: np.ndarray) -> np.ndarray:
    return np.asarray(100 * np.searchsorted(np.sort(values), grid, side="right") / len(values))


def _summary(facts: SplitFacts) -> Html:
    shown = [
        (
            "Stations",
            count(len(facts.places.names)),
            f"{count(sum(facts.rows.values()))} rows",
        ),
        (
            "Folds" if facts.field == "fold" else "Roles",
            count(len(facts.groups)) if facts.field == "fold" else _sides(facts),
            f"largest {_largest(facts)} of the stations",
        ),
    ]
    distances = facts.distances
    if distances is not None:
        shown.append(
            (
                "Tested at",
                _length(float(np.median(distances.across))),
                "median distance to training",
            )
        )
        if distances.to_map is not None:
            shown.append(
                (
                    "Mapped at",
                    _length(float(np.median(distances.to_map))),
                    "median, map to stations",
                )
            )
            shown.append(("W", _length(distances.w), f"random {_length(distances.w_random)}"))
    return tiles(shown)


def _sides(facts: SplitFacts) -> str:
    sizes = [str(int((facts.group == one).sum())) for one in facts.groups]
    return " : ".join(sizes)


def _largest(facts: SplitFacts) -> str:
    most = max(int((facts.group == one).sum()) for one in facts.groups)
    return f"{100 * most / len(facts.group):.0f}\u202f%"


def _map_section(facts: SplitFacts) -> Html:
    if not facts.places.crs or not facts.places.known.any():
        return section("Map", paragraph("The stations have no positions: there is no map."))
    lost = int((~facts.places.known).sum())
    caption = "North is up."
    if facts.strata and any(facts.network):
        caption += f" Grey lines run around the stations of one {facts.strata}."
    if facts.domain is not None:
        caption += f" Grey dots: {count(len(facts.domain.x))} points of the domain."
    if lost:
        caption += f" {plural(lost, 'station')} without a position not drawn."
    what = "folds" if facts.field == "fold" else "roles"
    return section("Map", picture(fold_map(facts), caption, f"Map of the stations by {what}"))


def _distance_section(facts: SplitFacts) -> Html:
    distances = facts.distances
    if distances is None:
        return Html("")
    text = (
        "A score says what the map is worth only where stations are tested as far from those that "
        "train as the map lies from all stations."
    )
    if distances.w is None or distances.w_random is None or distances.to_map is None:
        text += " Give DOMAIN to see how far that is."
    else:
        text += (
            f" W, the area between the two lines, is {_length(distances.w)}; with stations drawn "
            f"at random it would be {_length(distances.w_random)}. {_judged(distances)}"
        )
    named = [("this split, G_j*", distances.across), ("station to station, G_j", distances.between)]
    if distances.to_map is not None:
        named.insert(0, ("map to stations, G_ij", distances.to_map))
    rows = [
        [label, *(_length(float(np.quantile(values, q))) for q in (0.1, 0.25, 0.5, 0.75, 0.9))]
        for label, values in named
    ]
    note = paragraph(
        "G_ij, G_j*, G_j and W as in nearest-neighbour-distance matching (Linnenbrink et al. 2024, "
        "doi:10.5194/gmd-17-5897-2024).",
        kind="small",
    )
    figure = picture(
        distance_figure(distances), "Up to the 99th percentile.", "Shares within a distance"
    )
    header = ["distance to the nearest station", "10 %", "25 %", "50 %", "75 %", "90 %"]
    return section("Distances", paragraph(text), gallery(figure, join(table(header, rows), note)))


def _judged(distances: Distances) -> str:
    """Say which way the split errs, in words."""
    tested = float(np.median(distances.across))
    mapped = float(np.median(distances.to_map)) if distances.to_map is not None else tested
    if tested < 0.5 * mapped:
        return "Stations are tested much nearer than the map lies: scores will look too good."
    if tested > 2 * mapped:
        return "Stations are tested much farther away than the map lies: scores will look too bad."
    if tested < 0.8 * mapped:
        return "Stations are tested nearer than the map lies: scores may look a little too good."
    if tested > 1.25 * mapped:
        return "Stations are tested farther away than the map lies: scores may look too bad."
    return "Stations are tested about as far away as the map lies."


def _size_section(facts: SplitFacts) -> Html:
    networks = sorted(set(facts.network)) if facts.strata else []
    crossed = networks if 1 < len(networks) <= _MOST_COLUMNS else []
    rows = []
    for group in facts.groups:
        own = facts.group == group
        rows.append(
            [
                group,
                count(int(own.sum())),
                f"{100 * own.sum() / len(own):.0f}\u202f%",
                count(facts.rows.get(group)) if group in facts.rows else MISSING,
                *(count(int((facts.network[own] == one).sum())) for one in crossed),
            ]
        )
    header = [facts.field, "stations", "share", "rows", *(one or "(empty)" for one in crossed)]
    note = f"Columns to the right: stations of each {facts.strata}." if crossed else ""
    return section("Sizes", table(header, rows), paragraph(note, kind="small") if note else "")


def _length(metres: float | None) -> str:
    if metres is None or not np.isfinite(metres):
        return MISSING
    if metres >= 10_000:
        return f"{count(round(metres / 1000))}\u202fkm"
    return f"{number(metres / 1000, 2)}\u202fkm" if metres >= 1000 else f"{metres:.0f}\u202fm"
