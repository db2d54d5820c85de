"""HTML building blocks of the reports: one self-contained page, no scripts, no network."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from ...dependencies import plugin_version
from ...rasters.writing import atomic_path

MISSING = "–"
UNIT = "m³ m⁻³"

_STYLE = Path(__file__).with_name("report.css")
_MINUS = "−"
_LONG_TEXT = 24
_SVG = {"svg.fonttype": "none", "svg.hashsalt": "report", "font.family": "sans-serif"}


class Html(str):
    """Text that is HTML already; everything else is escaped on its way into a page."""

    __slots__ = ()


def to_html(value: Any) -> Html:
    """Return `value` as HTML, escaped unless it is :class:`Html`; None is a dash."""
    if isinstance(value, Html):
        return value
    return Html(MISSING if value is None else escape(str(value)))


def join(*parts: Any) -> Html:
    """Return the parts one after the other, each escaped unless it is :class:`Html`."""
    return Html("".join(to_html(part) for part in parts if part is not None and part != ""))


def number(value: float | None, digits: int = 3, *, signed: bool = False) -> str:
    """Return a number with a fixed number of decimals, a dash for None and NaN.

    Examples
    --------
    >>> number(0.05)
    '0.050'
    >>> number(-0.0004)
    '0.000'
    >>> number(0.012, signed=True)
    '+0.012'
    """
    if value is None or value != value:
        return MISSING
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else f"{_MINUS}∞"
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return text
    sign = _MINUS if value < 0 else "+" if signed else ""
    return f"{sign}{text}"


def percent(share: float | None, digits: int = 0) -> str:
    """Return a share of 1 as a percentage, a dash for None and NaN."""
    text = number(None if share is None else 100 * share, digits)
    return text if text == MISSING else f"{text}\u202f%"


def count(value: float | None) -> str:
    """Return a whole number with thin spaces between thousands."""
    return MISSING if value is None else f"{int(value):,}".replace(",", "\u202f")


def general(value: float | None) -> str:
    """Return a number of any size with four digits that count."""
    if value is None or value != value:
        return MISSING
    return f"{value:.4g}".replace("-", _MINUS)


def moment(iso: str) -> str:
    """Return an ISO time stamp as a reader writes it: '2021-05-01 09:30 UTC'."""
    return iso[:16].replace("T", " ") + " UTC" if iso.endswith("+00:00") else iso


def made_now() -> str:
    """Return by which version of the program, and that it was now, for the head of a report."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return f"made by Soil Moisture Mapper {plugin_version()}, {moment(now)}"


def plural(n: int, noun: str, many: str = "") -> str:
    """Return the count with its noun: '1 row', '2 rows'."""
    return f"{count(n)} {noun if n == 1 else many or noun + 's'}"


def paragraph(*parts: Any, kind: str = "") -> Html:
    """Return a paragraph; `kind` is a class of the style sheet (note, small, lead)."""
    return Html(f"<p{_class(kind)}>{join(*parts)}</p>")


def strong(text: Any) -> Html:
    """Return text that stands out."""
    return Html(f"<strong>{to_html(text)}</strong>")


def box(*parts: Any, kind: str = "plain") -> Html:
    """Return a framed block: plain, good, fair, open (for verdicts) or warning."""
    return Html(f'<div class="box {kind}">{join(*parts)}</div>')


def section(title: str, *parts: Any) -> Html:
    """Return a section with its heading; nothing where all parts are empty."""
    body = join(*parts)
    return Html(f"<section><h2>{to_html(title)}</h2>{body}</section>") if body else Html("")


def heading(title: str) -> Html:
    """Return a heading inside a section."""
    return Html(f"<h3>{to_html(title)}</h3>")


def bullets(items: Iterable[Any]) -> Html:
    """Return a list of points; nothing for none."""
    body = "".join(f"<li>{to_html(item)}</li>" for item in items)
    return Html(f"<ul>{body}</ul>" if body else "")


def facts(pairs: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Html:
    """Return names and values as a two-column list."""
    listed = pairs.items() if isinstance(pairs, Mapping) else pairs
    body = "".join(f"<dt>{to_html(k)}</dt><dd>{to_html(v)}</dd>" for k, v in listed)
    return Html(f"<dl>{body}</dl>" if body else "")


def tiles(items: Iterable[tuple[str, str, str]]) -> Html:
    """Return key figures: label, value and what it rests on."""
    body = "".join(
        f'<div class="tile"><span>{to_html(label)}</span><b>{to_html(value)}</b>'
        f"<small>{to_html(note)}</small></div>"
        for label, value, note in items
    )
    return Html(f'<div class="tiles">{body}</div>')


def table(
    header: Sequence[Any],
    rows: Iterable[Sequence[Any]],
    *,
    caption: str = "",
    text_columns: int = 1,
    marked: Iterable[int] = (),
    starts: Iterable[int] | None = None,
) -> Html:
    """Return a table; nothing where there are no rows.

    Parameters
    ----------
    header : sequence of str
    rows : iterable of sequences
    caption : str
    text_columns : int
        Columns from the left that hold text; the others are numbers, set right.
    marked : iterable of int
        Rows that stand out.
    starts : iterable of int, optional
        Rows that begin a group, set apart by a line; without it each row has one.
    """
    listed, chosen = list(rows), set(marked)
    first = None if starts is None else set(starts)
    if not listed:
        return Html("")
    head = "".join(_cell("th", name, i < text_columns) for i, name in enumerate(header))
    lines = []
    for place, row in enumerate(listed):
        cells = "".join(_cell("td", value, i < text_columns) for i, value in enumerate(row))
        kinds = ["marked"] if place in chosen else []
        kinds += ["start"] if first is not None and place in first else []
        lines.append(f"<tr{_class(' '.join(kinds))}>{cells}</tr>")
    title = f"<caption><span>{to_html(caption)}</span></caption>" if caption else ""
    grouped = _class("" if first is None else "grouped")
    return Html(
        f'<div class="scroll"><table{grouped}>{title}<thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def folded(summary: str, *parts: Any, opened: bool = False) -> Html:
    """Return a part that the reader opens; nothing where it is empty."""
    body = join(*parts)
    if not body:
        return Html("")
    state = " open" if opened else ""
    return Html(f"<details{state}><summary>{to_html(summary)}</summary>{body}</details>")


def picture(figure: Figure, caption: Any, alternative: str) -> Html:
    """Return a figure as an SVG image inside the page.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    caption : str or Html
        Under the figure.
    alternative : str
        What it shows, for those who cannot see it.
    """
    stream = io.BytesIO()
    with matplotlib.rc_context(_SVG):
        figure.savefig(stream, format="svg", dpi=150, metadata={"Date": None})
    width = round(96 * float(figure.get_figwidth()))
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return Html(
        f'<figure><img width="{width}" alt="{escape(alternative)}" '
        f'src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{to_html(caption)}</figcaption></figure>"
    )


def gallery(*figures: Html) -> Html:
    """Return figures side by side where the page is wide enough."""
    return Html(f'<div class="gallery">{"".join(figures)}</div>')


def page(title: str, subtitle: str, *parts: Any) -> Html:
    """Return the whole page."""
    style = _STYLE.read_text(encoding="utf-8")
    body = join(*parts).replace(UNIT, UNIT.replace(" ", "\u00a0"))  # never at the end of a line
    return Html(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{to_html(title)}</title><style>{style}</style></head>"
        f"<body><main><header><h1>{to_html(title)}</h1>{paragraph(subtitle)}</header>"
        f"{body}</main></body></html>\n"
    )


def write_page(html: Html, path: Path) -> None:
    """Write a page (UTF-8); an earlier file stays until the new one is complete.

    Raises
    ------
    InputError
        Where the folder does not exist or cannot be written to.
    """
    with (
        atomic_path(Path(path)) as temporary,
        Path(temporary).open("w", encoding="utf-8", newline="\n") as stream,
    ):
        stream.write(html)


def _cell(tag: str, value: Any, text: bool) -> str:
    kinds = ["text"] if text else []
    if text and len(str(value)) > _LONG_TEXT:
        kinds.append("long")
    return f"<{tag}{_class(' '.join(kinds))}>{to_html(value)}</{tag}>"


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""
