"""Moments in UTC from the dates and times that loggers write, and the days that are wanted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import numpy as np

from ..errors import InputError
from ..progress import Progress
from .table import Table, is_missing

_CLOCK = (
    r"(?P<hour>\d{1,2})(?::?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,]\d+)?)?)?"
    r"\s*(?P<half>[AaPp][Mm])?\s*(?P<offset>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?"
)
_YEAR_FIRST = re.compile(
    r"(?P<a>\d{4})(?P<s>[-/.])(?P<b>\d{1,2})(?P=s)(?P<c>\d{1,2})(?:[T ]\s*" + _CLOCK + ")?"
)
_DIGITS = re.compile(r"(?P<a>\d{4})(?P<s>)(?P<b>\d{2})(?P<c>\d{2})(?:[T ]?" + _CLOCK + ")?")
_YEAR_LAST = re.compile(
    r"(?P<a>\d{1,2})(?P<s>[./-])(?P<b>\d{1,2})(?P=s)(?P<c>\d{4})(?:[T ]\s*" + _CLOCK + ")?"
)
_ZONE_NAME = re.compile(r".*\d\s*[A-Za-z]{3,}(?:/\w+)?")
_SEASON = re.compile(r"(\d{2})-(\d{2})\s*/\s*(\d{2})-(\d{2})")
_DAYS_OF_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True)
class Season:
    """A part of every year, both ends included; it wraps over new year where it ends earlier.

    Parameters
    ----------
    first, last : (int, int)
        Month and day.
    """

    first: tuple[int, int]
    last: tuple[int, int]

    def holds(self, days: np.ndarray) -> np.ndarray:
        """Return the mask (n,) of the days in the season."""
        months = days.astype("datetime64[M]")
        month = months.astype(np.int64) % 12 + 1
        number = month * 100 + (days - months).astype(np.int64) + 1
        first = self.first[0] * 100 + self.first[1]
        last = self.last[0] * 100 + self.last[1]
        if first <= last:
            return (number >= first) & (number <= last)
        return (number >= first) | (number <= last)


@dataclass(frozen=True)
class Period:
    """The days that are wanted; None = no limit.

    Parameters
    ----------
    start, end : date, optional
        First and last day.
    season : Season, optional
    text : str
        The season as it was written, for messages.
    """

    start: date | None = None
    end: date | None = None
    season: Season | None = None
    text: str = ""

    def holds(self, days: np.ndarray) -> np.ndarray:
        """Return the mask (n,) of the days in the period."""
        inside = np.ones(len(days), dtype=bool)
        if self.start:
            inside &= days >= np.datetime64(self.start, "D")
        if self.end:
            inside &= days <= np.datetime64(self.end, "D")
        if self.season:
            inside &= self.season.holds(days)
        return inside

    def __str__(self) -> str:
        limits = {"START": self.start, "END": self.end, "SEASON": self.text}
        return ", ".join(f"{name} {value}" for name, value in limits.items() if value)


def read_period(start: date | None, end: date | None, season: str) -> Period:
    """Return the period of a first and a last day and of a season such as ``03-01/10-01``.

    Raises
    ------
    InputError
        When the first day is after the last, or the text is no season.
    """
    if start and end and start > end:
        raise InputError(f"START {start} is after END {end}.")
    return Period(start, end, parse_season(season), season.strip())


def parse_season(text: str) -> Season | None:
    """Return the season of a text such as ``03-01/10-01``; None for an empty text.

    Raises
    ------
    InputError
        When the text is no season.
    """
    if not text.strip():
        return None
    match = _SEASON.fullmatch(text.strip())
    if match:
        month, day, last_month, last_day = (int(part) for part in match.groups())
        if _is_day(month, day) and _is_day(last_month, last_day):
            return Season((month, day), (last_month, last_day))
    raise InputError(
        f"SEASON '{text}' is not a season.",
        "Write first and last day as MM-DD/MM-DD, such as 03-01/10-01.",
    )


def read_timezone(name: str) -> tzinfo:
    """Return the time zone of an IANA name.

    Raises
    ------
    InputError
        When the name is unknown, or the system has no time zone data.
    """
    if not name.strip() or name.strip().upper() in ("UTC", "GMT", "Z"):
        return timezone.utc
    try:
        return ZoneInfo(name.strip())
    except (KeyError, ValueError, OSError) as error:
        raise InputError(
            f"TIMEZONE '{name}' is not known.",
            "Use an IANA name such as Europe/Berlin; on Windows the Python package tzdata must be "
            "installed.",
        ) from error


def parse_times(
    texts: Sequence[str], lines: np.ndarray, column: str, file: str, zone: tzinfo
) -> np.ndarray:
    """Return the moment of each text in UTC, datetime64[s] (n,), NaT for missing.

    A time without offset is local time of `zone`, the earlier one where clocks are put back; a
    date without time is midnight of the day it names. Read are ISO 8601, digits only, and day
    and month before the year: day first with points, else the order that all dates of the
    column allow.

    Raises
    ------
    InputError
        When a text is no date, or the column leaves open which number is the month: names
        value, line and column.
    """
    matches = {text: _match(text) for text in set(texts)}
    for line, text in zip(lines, texts):
        if matches[text] is None and not is_missing(text):
            raise _no_date(text, int(line), column, file)
    found = [match for match in matches.values() if match is not None]
    month_first = _month_first([m for m in found if m.re is _YEAR_LAST], column, file)
    moments: dict[str, np.datetime64] = {}
    for text, match in matches.items():
        try:
            moments[text] = _moment(match, month_first, zone)
        except (ValueError, OverflowError) as error:
            line = next(line for line, other in zip(lines, texts) if other == text)
            raise _no_date(text, int(line), column, file) from error
    return np.array([moments[text] for text in texts], dtype="datetime64[s]")


def has_local_clock(text: str) -> bool:
    """Whether a text holds a time of day without an offset from UTC."""
    match = _match(text)
    return match is not None and match["hour"] is not None and not match["offset"]


def observation_days(table: Table, field: str, progress: Progress) -> np.ndarray:
    """Return the UTC day of each row, datetime64[D] (n,), NaT for missing.

    A time with an offset from UTC is carried to UTC first; of a time without one the day is
    taken as it is written, with a note.
    """
    days = table.dates(field)
    if table.column(field).dtype.kind != "O":
        return days
    texts = table.text(field)
    unique = sorted(set(texts))
    zoned = {text for text in unique if _offset(text) is not None}
    member = np.array([text in zoned for text in texts], dtype=bool)
    if member.any():
        lines = np.flatnonzero(member) + 1
        moments = parse_times(list(texts[member]), lines, field, "the layer", timezone.utc)
        days = days.copy()
        days[member] = moments.astype("datetime64[D]")
        tell_moved(field, *moved_days(texts[member], moments), progress)
    if any(has_local_clock(text) for text in unique):
        progress.info("Times without an offset from UTC: the day counts as it is written.")
    return days


def moved_days(texts: Sequence[str], moments: np.ndarray) -> tuple[int, int, str]:
    """Count the texts with an offset, and those that fall on another day in UTC; give one.

    Parameters
    ----------
    moments : datetime64[s] (n,)
        Of the texts, in UTC.
    """
    offset = {text: _offset(text) for text in set(texts)}
    member = np.array([offset[text] is not None for text in texts], dtype=bool)
    zoned = [text for text, has_one in zip(texts, member) if has_one]
    minutes = np.array([offset[text] for text in zoned], dtype="timedelta64[m]")
    own = moments[member]
    moved = own.astype("datetime64[D]") != (own + minutes).astype("datetime64[D]")
    first = zoned[int(np.argmax(moved))] if moved.any() else ""
    return len(zoned), int(moved.sum()), first


def tell_moved(field: str, times: int, moved: int, example: str, progress: Progress) -> None:
    """Say how many times have an offset, and how many of them fall on another day in UTC."""
    if moved:
        progress.warn(
            f"{times} times of '{field}' have an offset and are carried to UTC, in which days are "
            f"cut and rasters are dated: {moved} of them, such as '{example}', fall on another day."
        )
    else:
        progress.info(f"{times} times of '{field}' with an offset are carried to UTC.")


def looks_like_date(text: str) -> bool:
    """Whether a cell holds a date."""
    return _match(text) is not None


def _match(text: str) -> re.Match[str] | None:
    stripped = text.strip()
    for pattern in (_YEAR_FIRST, _DIGITS, _YEAR_LAST):
        match = pattern.fullmatch(stripped)
        if match:
            return match
    return None


def _no_date(text: str, line: int, column: str, file: str) -> InputError:
    return InputError(
        f"The value '{text}' in line {line}, column '{column}' of {file} is not a date.",
        "Write dates as YYYY-MM-DD or YYYY-MM-DD HH:MM" + _zone_cure(text),
    )


def _zone_cure(text: str) -> str:
    if not _ZONE_NAME.fullmatch(text.strip()):
        return "."
    return ", with the offset from UTC as +01:00; a zone's name goes into TIMEZONE."


def _month_first(matches: Sequence[re.Match[str]], column: str, file: str) -> bool:
    """Whether dates that end in the year begin with the month; False where there are none."""
    open_ones = [match for match in matches if match["s"] != "."]
    if not open_ones:
        return False
    day_first = any(int(match["a"]) > 12 for match in open_ones)
    month_first = any(int(match["b"]) > 12 for match in open_ones)
    if day_first == month_first:
        raise InputError(
            f"Column '{column}' of {file} leaves open whether day or month comes first, as in "
            f"'{min(match.string for match in open_ones)}'.",
            "Write dates as YYYY-MM-DD.",
        )
    return month_first


def _moment(match: re.Match[str] | None, month_first: bool, zone: tzinfo) -> np.datetime64:
    if match is None:
        return np.datetime64("NaT", "s")
    a, b, c = int(match["a"]), int(match["b"]), int(match["c"])
    if match.re is not _YEAR_LAST:
        moment = datetime(a, b, c)
    elif month_first and match["s"] != ".":
        moment = datetime(c, a, b)
    else:
        moment = datetime(c, b, a)
    if match["hour"] is None:
        return np.datetime64(moment, "s")
    moment += _clock(match)
    if match["offset"]:
        moment -= timedelta(minutes=_minutes(match["offset"]))
    elif zone is not timezone.utc:
        moment = moment.replace(tzinfo=zone).astimezone(timezone.utc)
    return np.datetime64(moment.replace(tzinfo=None), "s")


def _minutes(offset: str) -> int:
    """Return the minutes that an offset such as ``+02:00`` lies ahead of UTC."""
    if offset[0] not in "+-":
        return 0
    minutes = int(offset[1:3]) * 60 + int(offset[3:].lstrip(":") or 0)
    return minutes if offset[0] == "+" else -minutes


def _offset(text: str) -> int | None:
    """Return the minutes that the time of a text lies ahead of UTC; None without an offset."""
    match = _match(text)
    if match is None or match["hour"] is None or not match["offset"]:
        return None
    return _minutes(match["offset"])


def _clock(match: re.Match[str]) -> timedelta:
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    half = (match["half"] or "").lower()
    if half:
        if not 1 <= hour <= 12:
            raise ValueError("hour")
        hour = hour % 12 + (12 if half == "pm" else 0)
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and (minute or second)):
        raise ValueError("time")
    return timedelta(hours=hour, minutes=minute, seconds=second)


def _is_day(month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= _DAYS_OF_MONTH[month - 1]
