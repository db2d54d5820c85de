"""What a raster's bands are called and which day they show: the rules of covariate names."""

from __future__ import annotations

import re
from datetime import date, timedelta

# The order of alternatives does not matter: a digit run matches one of them at most.
_IN_NAME = re.compile(
    r"(?<!\d)(?:(?P<y1>\d{4})-(?P<m1>\d{2})-(?P<d1>\d{2})"
    r"|(?P<y2>\d{4})_(?P<m2>\d{2})_(?P<d2>\d{2})"
    r"|(?P<y3>\d{4})(?P<m3>\d{2})(?P<d3>\d{2})"
    r"|(?P<y4>\d{4})(?P<day>\d{3}))(?!\d)"
)
_DESCRIPTION = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ]\d{2}:?\d{2}.*)?|(\d{4})(\d{2})(\d{2})")
_TAG = re.compile(r"\s*(\d{4})[:\-/](\d{2})[:\-/](\d{2})")
_NAMELESS = re.compile(r"band[ _]?\d+", re.IGNORECASE)
_SEPARATORS = "_-. "
FIRST_YEAR, LAST_YEAR = 1970, 2100

# Fields of the observation layer and of the tables made from it: no covariate may bear them.
RESERVED_NAMES = (
    "fid",
    "role",
    "fold",
    "weight",
    "station",
    "network",
    "date",
    "moisture",
    "depth_from",
    "depth_to",
    "n",
)


def date_in_name(text: str) -> tuple[date | None, str]:
    """Find the first valid date in a file's base name.

    Read are ``YYYYMMDD``, ``YYYY-MM-DD``, ``YYYY_MM_DD`` and ``YYYYDDD`` (year and day of the
    year), as digit runs of exactly that length, from 1970 to 2100.

    Returns
    -------
    date, remainder
        The date or None, and the name less the date and the separator beside it.

    Examples
    --------
    >>> date_in_name("smap_20210401")
    (datetime.date(2021, 4, 1), 'smap')
    >>> date_in_name("s1_2021-04-01_vv")
    (datetime.date(2021, 4, 1), 's1_vv')
    """
    position = 0
    while True:
        found = _IN_NAME.search(text, position)
        if found is None:
            return None, text
        day = _date_of(found)
        if day is not None:
            return day, _without(text, found.start(), found.end())
        position = found.start() + 1


def date_in_description(text: str | None) -> date | None:
    """Return the date where a band description is an ISO date, else None."""
    found = _DESCRIPTION.fullmatch((text or "").strip())
    if found is None:
        return None
    year, month, day = (int(part) for part in found.groups() if part is not None)
    return _valid(year, month, day)


def date_in_tag(text: str | None) -> date | None:
    """Return the day of a ``TIFFTAG_DATETIME`` (``YYYY:MM:DD HH:MM:SS``), else None."""
    found = _TAG.match(text or "")
    return _valid(*(int(part) for part in found.groups())) if found else None


def is_nameless(description: str | None) -> bool:
    """Whether a band description names nothing: none, or what programs fill in (``Band 1``)."""
    text = (description or "").strip()
    return not text or _NAMELESS.fullmatch(text) is not None


def covariate_name(description: str | None, base_name: str) -> str:
    """Return the name of a band.

    Parameters
    ----------
    description : str or None
        The band's description.
    base_name : str
        The file's name without folder and extension.

    Returns
    -------
    str
        The description; where there is none, or where it is a date, the base name less its date
        and the separator beside it.
    """
    if not is_nameless(description) and date_in_description(description) is None:
        return (description or "").strip()
    remainder = date_in_name(base_name)[1]
    return remainder or base_name


def _date_of(found: re.Match[str]) -> date | None:
    groups = found.groupdict()
    if groups["y4"] is not None:
        year, day = int(groups["y4"]), int(groups["day"])
        start = _valid(year, 1, 1)
        if start is None or day < 1:
            return None
        shown = start + timedelta(days=day - 1)
        return shown if shown.year == year else None
    year, month, day = (
        int(next(groups[f"{part}{form}"] for form in (1, 2, 3) if groups[f"{part}{form}"]))
        for part in "ymd"
    )
    return _valid(year, month, day)


def _valid(year: int, month: int, day: int) -> date | None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _without(text: str, start: int, stop: int) -> str:
    """Cut a date out of a name, with one separator beside it."""
    before, after = text[:start], text[stop:]
    if before and before[-1] in _SEPARATORS:
        return before[:-1] + after
    if after and after[0] in _SEPARATORS:
        return before + after[1:]
    return before + after
