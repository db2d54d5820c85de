"""What reports say of the prediction intervals of networks, seasons and classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...models.heldout import HeldOut
from ..bootstrap import FEWEST_STATIONS
from ..group_coverage import (
    DRAWN_ROWS,
    DRAWN_STATIONS,
    MARK,
    GroupCoverage,
    group_coverage,
    worst_first,
)
from .coverage_figures import Panel, coverage_panels
from .report import (
    UNIT,
    Html,
    box,
    bullets,
    count,
    heading,
    join,
    number,
    paragraph,
    percent,
    picture,
    plural,
    strong,
    table,
)

_MOST_PANELS = 8
_MOST_NAMED = 12
_SEEN = 0.0005
_WORDS = {"short": "too narrow", "low": "low", "holds": "holds", "few": "too few"}
_INTERVAL = ("inside 90\u202f%", "width 90\u202f%", "interval score 90\u202f%")
_RULES = (
    "Too narrow: the 95 % bootstrap interval of the coverage ends below 90 %; low: under 85 %, but "
    f"chance could do it, or there are fewer than {FEWEST_STATIONS} stations; too few: fewer than "
    f"{DRAWN_ROWS} readings."
)


def group_coverage_part(
    held: HeldOut, what: str, *, raw: bool = True, fields: Iterable[str] | None = None
) -> Html:
    """Return where the intervals hold and where not: in words, in figures and as tables.

    Parameters
    ----------
    held : HeldOut
    what : str
        Which predictions these are.
    raw : bool
        Whether there are uncalibrated intervals.
    fields : iterable of str, optional
        Fields to group by; all that part the rows by default.
    """
    found = group_coverage(held, raw=raw, fields=fields)
    if not found:
        return Html("")
    kind = "calibrated" if held.calibrated is not None else "uncalibrated"
    parts = [_field_part(field, groups, what, kind) for field, groups in found.items()]
    return join(_verdict_box(found), paragraph(_RULES, kind="small"), *parts)


def shortfall(held: HeldOut) -> str:
    """Return one sentence on the groups in which the calibrated 90 % interval does not hold.

    Empty without calibration, or where it holds in all groups so far as can be told.
    """
    if held.calibrated is None:
        return ""
    short = worst_first(group_coverage(held, raw=False).values(), "short")
    if not short:
        return ""
    named = [f"{one.group.label} ({percent(one.held)})" for one in short[:4]]
    more = f" and {plural(len(short) - 4, 'more group')}" if len(short) > 4 else ""
    return (
        f"The 90 % interval does not hold everywhere: it is too narrow for {_listed(named)}{more}."
    )


def sentence(one: GroupCoverage) -> str:
    """Return how many readings of a group its 90 % interval held, in words."""
    text = f"{one.group.place} the 90 % interval held {_counted(one)}"
    if one.ends is None:
        return f"{text}: too few stations to tell it from chance."
    ends = f"95 % bootstrap interval {_range(one.ends)}"
    if one.verdict == "short":
        return f"{text} ({ends}): it does not hold there."
    return f"{text} ({ends})" + (": this may be chance." if one.verdict == "low" else ".")


def _verdict_box(found: Mapping[str, Sequence[GroupCoverage]]) -> Html:
    short, low = (worst_first(found.values(), verdict) for verdict in ("short", "low"))
    fields = _listed(list(found), "or")
    if not worst_first(found.values(), "holds") and not short and not low:
        return box(paragraph(_nothing(fields)))
    if not short and not low:
        said = f"No {fields} is seen in which the 90 % interval falls short."
        return box(paragraph(strong(said)), kind="good")
    if short:
        groups = plural(len(short), "group")
        parts = [paragraph(strong(f"The 90 % interval does not hold in {groups}:"))]
        parts.append(bullets(sentence(one) for one in short[:_MOST_NAMED]))
    else:
        parts = [paragraph(strong(f"In no {fields} does the 90 % interval surely fall short."))]
    if low:
        parts += [
            paragraph("Low, but chance could do it:" if short else "These are low:"),
            bullets(sentence(one) for one in low[:_MOST_NAMED]),
        ]
    if short:
        text = "Of 40 groups whose intervals hold, chance makes about one look too narrow."
        parts.append(paragraph(text, kind="small"))
    hidden = max(0, len(short) - _MOST_NAMED) + max(0, len(low) - _MOST_NAMED)
    if hidden:
        parts.append(paragraph(f"{plural(hidden, 'more group')}: see the tables.", kind="small"))
    return box(*parts, kind="warning" if short else "open")


def _nothing(field: str) -> str:
    return f"No {field} has enough readings to judge its 90 % interval."


def _field_part(field: str, groups: Sequence[GroupCoverage], what: str, kind: str) -> Html:
    large = sorted((g for g in groups if g.drawn), key=lambda g: (-g.stations, -g.n))
    shown = [g for g in groups if g in large[:_MOST_PANELS]]
    figure = None
    if shown:
        lighter = ", grey: uncalibrated" if shown[0].raw is not None else ""
        band = ""
        if any(g.band is not None for g in shown):
            band = (
                "; band: 95 % bootstrap interval, drawing stations (from "
                f"{FEWEST_STATIONS} stations on)"
            )
        figure = picture(
            coverage_panels([_panel(g) for g in shown]),
            f"Observed against nominal coverage by {field}, {what}. Dots: {kind}{lighter}{band}. "
            "Below the diagonal intervals are too narrow.",
            f"Observed against nominal coverage by {field}, {what}",
        )
    return join(
        heading(f"Intervals by {field}"),
        figure,
        paragraph(_said(groups, field)),
        _not_drawn(groups, large),
        _table(groups, field, kind),
    )


def _panel(one: GroupCoverage) -> Panel:
    return Panel(
        one.group.shown,
        f"{plural(one.n, 'reading')}, {plural(one.stations, 'station')}",
        one.observed,
        one.raw,
        one.band,
        one.verdict == "short",
    )


def _said(groups: Sequence[GroupCoverage], field: str) -> str:
    """Return the plain sentence under a figure."""
    short, low = (worst_first([groups], verdict) for verdict in ("short", "low"))
    if short:
        more = [f"{one.group.shown} ({percent(one.held)})" for one in short[1:_MOST_NAMED]]
        return sentence(short[0]) + (f" The same is true of {_listed(more)}." if more else "")
    if low:
        return f"{sentence(low[0])} No {field} is lower."
    judged = [one for one in groups if one.verdict == "holds"]
    if not judged:
        return _nothing(field)
    least = min(judged, key=lambda one: one.held)
    return (
        f"No {field} is seen in which the 90 % interval falls short; it held least in "
        f"{least.group.shown}: {_counted(least)}."
    )


def _not_drawn(groups: Sequence[GroupCoverage], large: Sequence[GroupCoverage]) -> Html:
    small = [g for g in groups if not g.drawn]
    parts = []
    if small:
        parts.append(
            f"Not drawn, fewer than {DRAWN_ROWS} readings or {DRAWN_STATIONS} stations (share that "
            f"the 90 % interval held): {_listed([_brief(g) for g in small])}."
        )
    if large[_MOST_PANELS:]:
        rest = _listed([g.group.shown for g in large[_MOST_PANELS:]])
        parts.append(f"The {_MOST_PANELS} largest are drawn; see the table for {rest}.")
    return paragraph(" ".join(parts), kind="small") if parts else Html("")


def _table(groups: Sequence[GroupCoverage], field: str, kind: str) -> Html:
    beside = any(_moved(g) for g in groups)
    header = [field, "n", "stations", "inside 50\u202f%", "inside 90\u202f%", "95\u202f% bootstrap"]
    header += ["width 90\u202f%", "interval score 90\u202f%"]
    if beside:
        header += [
            f"raw {name}"
            for name in ("inside 90\u202f%", "width 90\u202f%", "interval score 90\u202f%")
        ]
    lines = []
    for one in groups:
        cells = [one.group.shown, count(one.n), count(one.stations), percent(one.observed[0])]
        cells += [percent(one.held), "–" if one.ends is None else _range(one.ends)]
        cells += [number(one.width), number(one.score)]
        if beside:
            raw = None if one.raw is None else float(one.raw[MARK])
            cells += [percent(raw), number(one.raw_width), number(one.raw_score)]
        lines.append([*cells, _WORDS[one.verdict]])
    return table(
        [*header, "90\u202f% interval"],
        lines,
        caption=f"{kind.capitalize()} intervals{', raw: uncalibrated' if beside else ''}; width "
        f"and interval score (width + 20 × distance outside; less is better) in {UNIT}",
        marked=[i for i, one in enumerate(groups) if one.verdict == "short"],
    )


def _moved(one: GroupCoverage) -> bool:
    """Return whether calibration moves the 90 % interval enough to be seen."""
    return one.raw_width is not None and abs(one.raw_width - one.width) >= _SEEN


def _brief(one: GroupCoverage) -> str:
    return f"{one.group.shown} ({percent(one.held)} of {count(one.n)})"


def _counted(one: GroupCoverage) -> str:
    return f"{percent(one.held)} of {plural(one.n, 'reading')} at {plural(one.stations, 'station')}"


def _range(ends: tuple[float, float]) -> str:
    return f"{number(100 * ends[0], 0)}–{percent(ends[1])}"


def _listed(names: Sequence[str], last: str = "and") -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"
