"""The report of a match: which covariates reached which observations, and how far apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...covariates.rows import CovariateRow
from ...stations.sampling.matching_facts import (
    MATCHED,
    NO_DATE,
    NO_POINT,
    NO_RASTER,
    NO_VALUE,
    OUTSIDE,
    RAINED,
    WHY,
    MatchFacts,
)
from .report import (
    MISSING,
    Html,
    bullets,
    count,
    folded,
    join,
    made_now,
    number,
    page,
    paragraph,
    percent,
    plural,
    section,
    table,
    tiles,
    write_page,
)
from .sections import warnings_box

_MOST_DAYS = 7  # columns of the histogram; the rest share one
_MOST_ROWS = 40  # shown at once; the rest is folded
_MOST_LISTED = 500
_SHADE = "0,114,178"


def match_report(
    facts: MatchFacts,
    path: str | Path,
    *,
    name: str = "",
    warnings: Sequence[str] = (),
) -> None:
    """Write the report of a match as one HTML file.

    Parameters
    ----------
    facts : MatchFacts
    path : path
        An earlier file stays until the new one is complete.
    name : str
        The observations that were matched.
    warnings : sequence of str
        What the run warned of.
    """
    html = page(
        "Observations and covariates",
        f"{name + ': ' if name else ''}{plural(len(facts.why), 'row')}, "
        f"{plural(len(facts.names), 'covariate')}; {made_now()}",
        _summary(facts),
        warnings_box(warnings),
        _time_section(facts),
        _missing_section(facts),
        _rain_section(facts),
        _choice_section(facts),
        _station_section(facts),
    )
    write_page(html, Path(path))


def _summary(facts: MatchFacts) -> Html:
    rows = len(facts.why)
    found = (facts.why == MATCHED).any(axis=1)
    complete = (facts.why == MATCHED).all(axis=1)
    shown = [
        ("Rows matched", count(int(found.sum())), f"of {count(rows)}"),
        (
            "Complete rows",
            count(int(complete.sum())),
            f"{percent(complete.mean())}, all covariates",
        ),
        ("Values", percent((facts.why == MATCHED).mean(), 1), "of rows × covariates"),
    ]
    known = facts.days[~np.isnat(facts.days)]
    if known.size:
        shown.append(("Period", f"{known.min()}", f"to {known.max()}"))
    stations = set(facts.station) - {""}
    if stations:
        shown.append(("Stations", count(len(stations)), _twins(facts)))
    return tiles(shown)


def _twins(facts: MatchFacts) -> str:
    several = len(facts.same_place)
    return f"{plural(several, 'place')} with several" if several else "each at a place of its own"


def _time_section(facts: MatchFacts) -> Html:
    dated = [column for column, static in enumerate(facts.static) if not static]
    if not dated:
        return section("Days apart", paragraph("All covariates are static: they hold always."))
    widest = max((int(facts.apart(c).max(initial=0)) for c in dated), default=0)
    last = min(widest, _MOST_DAYS)
    rows = []
    for column in dated:
        apart = facts.apart(column)
        shift = facts.shift[facts.why[:, column] == MATCHED, column]
        shares = [float((apart == day).mean()) if apart.size else np.nan for day in range(last + 1)]
        if widest > _MOST_DAYS:
            shares[-1] = float((apart >= last).mean()) if apart.size else np.nan
        rows.append(
            [
                facts.names[column],
                count(apart.size),
                *(_shaded(share) for share in shares),
                number(float(apart.mean()) if apart.size else None, 1),
                count(int((shift < 0).sum())),
                count(int((shift > 0).sum())),
            ]
        )
    header = ["covariate", "rows", *(str(day) for day in range(last + 1))]
    if widest > _MOST_DAYS:
        header[-1] = f"{last}+"
    header += ["mean", "image earlier", "image later"]
    text = paragraph(
        "Share of the matched rows by the days between observation and image: 0 where the period "
        "of the image holds the day. Static covariates hold always and are not shown."
    )
    return section("Days apart", text, table(header, rows))


def _shaded(share: float) -> Html:
    """Return a percentage on a ground as dark as it is high."""
    if not share > 0:
        return Html("" if share == 0 else MISSING)
    text = percent(share) if share >= 0.005 else "&lt; 1"
    tint = 0.08 + 0.5 * share
    return Html(
        f'<span style="display:block;margin:-.2rem -.5rem;padding:.2rem .5rem;'
        f'background:rgba({_SHADE},{tint:.2f})">{text}</span>'
    )


def _missing_section(facts: MatchFacts) -> Html:
    counts = facts.counts()
    codes = [NO_RASTER, OUTSIDE, NO_VALUE, RAINED, NO_DATE, NO_POINT]
    codes = [code for code in codes if counts[:, code].any()]
    rows = [
        [
            name,
            "static" if static else "dated",
            count(int(own[MATCHED])),
            percent(own[MATCHED] / max(own.sum(), 1)),
            *(count(int(own[code])) if own[code] else "" for code in codes),
        ]
        for name, static, own in zip(facts.names, facts.static, counts)
    ]
    header = ["covariate", "kind", "matched", "share", *(WHY[code] for code in codes)]
    lost = [index for index, own in enumerate(counts) if not own[MATCHED]]
    return section(
        "Values and why they are missing", table(header, rows, text_columns=2, marked=lost)
    )


def _rain_section(facts: MatchFacts) -> Html:
    rain = facts.rain
    if rain is None:
        return Html("")
    refused = facts.counts()[:, RAINED]
    rows = [
        [name, count(int(refused[place])), count(int(rain.unknown[place]))]
        for place, name in enumerate(facts.names)
        if name in rain.applies
    ]
    text = paragraph(
        f"A match is refused where more than {rain.most:g} mm of {rain.covariate} fell at the "
        "station on the days after the earlier of image and observation, up to and including the "
        "later. Images of the day itself are never refused; days without a reading of rain count "
        "as dry."
    )
    header = ["covariate", "refused", "kept, rain of some day unknown"]
    return section("Not before rain", text, table(header, rows))


def _choice_section(facts: MatchFacts) -> Html:
    parts: list[Html] = []
    several = [(name, int(n)) for name, n in zip(facts.names, facts.several) if n]
    if several:
        listed = ", ".join(f"{name} {count(n)}" for name, n in several)
        parts.append(
            paragraph(
                "More than one row of the covariate table lies within its tolerance, and the "
                f"nearest is used, for: {listed} observations."
            )
        )
    rows = _claims(facts)
    header = ["covariate", "day", "used", "not used", "why", "observations"]
    if rows:
        parts.append(paragraph(f"{plural(len(rows), 'day')} on which rows have the same claim:"))
        parts.append(_long_table(header, rows, 5))
    if facts.repeated:
        parts.append(
            paragraph(
                f"{plural(facts.repeated, 'row')} of the observations share station and day with "
                "another row: all are kept."
            )
        )
    if facts.same_place:
        parts.append(paragraph("Stations that stand at one place and get the same covariates:"))
        parts.append(bullets(" and ".join(names) for names in facts.same_place[:_MOST_ROWS]))
    return section("Several rows for one day", *parts)


def _claims(facts: MatchFacts) -> list[list[str]]:
    """Return the days on which rows have the same claim, covariates of one image together."""
    together: dict[tuple[str, ...], list[str]] = {}
    for one in facts.choices:
        why = "latest start of several" if one.overlap else "equally near, earlier taken"
        others = ", ".join(_period(other) for other in one.others)
        key = (str(one.day), _period(one.used), others, why, count(one.observations))
        together.setdefault(key, []).append(one.used.covariate)
    return [[", ".join(names), *key] for key, names in together.items()]


def _period(row: CovariateRow) -> str:
    return f"{row.start}" if row.start == row.end else f"{row.start} to {row.end}"


def _station_section(facts: MatchFacts) -> Html:
    """Return how each station fared, the poorest first."""
    names, member = np.unique(facts.station.astype(str), return_inverse=True)
    member = member.reshape(-1)
    if len(names) < 2 and not names[0]:
        return Html("")
    matched = facts.why == MATCHED
    rows_of = np.bincount(member)
    found = np.bincount(member, weights=matched.any(axis=1))
    complete = np.bincount(member, weights=matched.all(axis=1))
    lacking = np.zeros((len(names), len(facts.names)))
    np.add.at(lacking, member, ~matched)
    dated = [column for column, static in enumerate(facts.static) if not static]
    used = matched[:, dated]
    apart = np.bincount(member, weights=(np.abs(facts.shift[:, dated]) * used).sum(axis=1))
    values = np.bincount(member, weights=used.sum(axis=1))
    rows = []
    for place in np.argsort(complete / rows_of, kind="stable"):
        worst = int(np.argmax(lacking[place]))
        most = int(lacking[place, worst])
        rows.append(
            [
                names[place] or "(none)",
                f"{facts.names[worst]} ({count(most)})" if most else "",
                count(int(rows_of[place])),
                count(int(found[place])),
                count(int(complete[place])),
                percent(complete[place] / rows_of[place]),
                number(apart[place] / values[place] if values[place] else None, 1),
            ]
        )
    header = ["station", "missing most", "rows", "matched", "complete", "share", "mean days apart"]
    return section("Stations", _long_table(header, rows, 2))


def _long_table(header: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int) -> Html:
    """Return a table whose later rows the reader opens."""
    first = table(header, rows[:_MOST_ROWS], text_columns=text_columns)
    rest = rows[_MOST_ROWS:_MOST_LISTED]
    left = len(rows) - _MOST_LISTED
    note = paragraph(f"{plural(left, 'more row')} not listed.") if left > 0 else Html("")
    more = table(header, rest, text_columns=text_columns)
    return join(first, folded(f"{count(len(rows) - _MOST_ROWS)} more", more, note))
