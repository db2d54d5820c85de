"""What an ISMN file is: its name and its first line.

Layouts as described at https://ismn.earth/en/data/data-formats/: header and values; CEOP in
separate files; CEOP with all depths of a station in one file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import InputError
from ..moisture import metric_depth
from .screening_drops import Sensor

HEADER, SEPARATE, CEOP = "header + values", "CEOP, separate files", "CEOP"

MOISTURE = frozenset({"sm", "soil-moisture"})
TEMPERATURE = frozenset({"ts", "soil-temperature"})

_NAME = re.compile(
    r"(?P<head>.+)_(?P<variable>[A-Za-z][A-Za-z-]*)_(?P<top>-?\d+\.\d+)_(?P<bottom>-?\d+\.\d+)"
    r"_(?P<rest>.+)\.stm",
    re.IGNORECASE,
)
_DATES = re.compile(r"_?\d{8}_\d{8}$")
_DATE = re.compile(r"\d{4}[/-]\d{2}[/-]\d{2}")
_CLOCK = re.compile(r"\d{2}:\d{2}")
_ROUNDING = 0.0051
_DATES_AND_CLOCKS = 4


@dataclass(frozen=True)
class FileName:
    """What the name of a file of one variable says.

    Parameters
    ----------
    station : str
        Experiment, network and station as the name joins them, the same for all files of a
        station.
    variable : str
        Lower case.
    top, bottom : float
        Range of depths, m.
    sensor : str
        Sensor with its numbers, without the dates of the download.
    """

    station: str
    variable: str
    top: float
    bottom: float
    sensor: str


@dataclass(frozen=True)
class FileLayout:
    """Where the readings of a file are.

    Parameters
    ----------
    kind : str
        `HEADER`, `SEPARATE` or `CEOP`.
    sensor : Sensor
        Its depths are NaN in `CEOP`, where they differ by line.
    latitude, longitude : float
        Degrees.
    date : int
        Place of the date among the words of a line, from 0.
    value : int
        Place of the soil moisture; its flag follows. In `SEPARATE` and `HEADER` of the file's
        variable.
    top, bottom : int
        Places of the ends of the depth in `CEOP`, the same where there is one; else −1.
    """

    kind: str
    sensor: Sensor
    latitude: float
    longitude: float
    date: int
    value: int
    top: int = -1
    bottom: int = -1


def parse_name(name: str) -> FileName | None:
    """Return what a file name says; None where it is not that of one variable.

    Names are ``experiment_network_station_variable_from_to_sensor…_start_end.stm``; stations and
    sensors may themselves hold ``_``, ``#``, commas, points and brackets.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    top, bottom = (metric_depth(float(match[end])) for end in ("top", "bottom"))
    sensor = _DATES.sub("", match["rest"])
    return FileName(match["head"], match["variable"].lower(), top, bottom, sensor)


def find_layout(line: bytes, name: FileName | None) -> FileLayout:
    """Return the layout of a file from its first line.

    The depth is that of the name, which has more digits, where it agrees with the line's; whole
    inches are taken to the centimetre, as ISMN's lines have them.

    Raises
    ------
    InputError
        When the line fits none of the layouts.
    """
    words = _decode(line).split()
    dated = len(words) > 1 and _DATE.fullmatch(words[0]) and _CLOCK.fullmatch(words[1])
    start = _DATES_AND_CLOCKS if dated else 0
    place = _position(words, start + 3)
    if place is None:
        shown = _decode(line).strip()[:60] or "empty"
        raise InputError(f"Its first line is no line of ISMN: {shown}.")
    latitude, longitude = float(words[place]), float(words[place + 1])
    sensor = Sensor(words[start + 1], " ".join(words[start + 2 : place]))
    if not dated:
        depths = _depths(words[place + 3 : place + 5], name)
        sensor = Sensor(sensor.network, sensor.station, *depths)
        return FileLayout(HEADER, sensor, latitude, longitude, 0, 2)
    rest = words[place + 3 :]
    if name is None or not _are_numbers(rest[:3]):
        top, bottom, value = (place + 3 + offset for offset in _ceop_places(rest))
        return FileLayout(CEOP, sensor, latitude, longitude, 2, value, top, bottom)
    sensor = Sensor(sensor.network, sensor.station, *_depths(rest[:2], name))
    return FileLayout(SEPARATE, sensor, latitude, longitude, 2, place + 5)


def _position(words: Sequence[str], start: int) -> int | None:
    """Return the place of latitude, longitude and elevation; a name before may have blanks."""
    for place in range(start, len(words) - 3):
        if _are_numbers(words[place : place + 3]):
            latitude, longitude = float(words[place]), float(words[place + 1])
            if abs(latitude) <= 90 and abs(longitude) <= 360 and _is_depth(words[place + 3]):
                return place
    return None


def _is_depth(word: str) -> bool:
    return word == "-" or (_are_numbers([word]) and abs(float(word)) < 1000)


def _ceop_places(rest: Sequence[str]) -> tuple[int, int, int]:
    """Return the places of both ends of the depth and of the moisture behind the elevation.

    There stand depth, soil temperature, flag, moisture, flag; the depth as a height with a minus
    that may stand alone, or as upper and lower end.
    """
    for depth in (0, 1):
        if len(rest) >= depth + 5 and _are_numbers(rest[depth : depth + 2]):
            flags = rest[depth + 2], rest[depth + 4]
            if _are_numbers([rest[depth + 3]]) and not any(map(_is_number, flags)):
                top = 0 if _is_number(rest[0]) else depth
                return top, depth, depth + 3
    raise InputError("Its first line is no line of ISMN: depth, temperature and moisture expected.")


def _depths(words: Sequence[str], name: FileName | None) -> tuple[float, float]:
    if len(words) < 2 or not _are_numbers(words):
        raise InputError("Its first line is no line of ISMN: it has no depth.")
    top, bottom = float(words[0]), float(words[1])
    if name and abs(name.top - top) < _ROUNDING and abs(name.bottom - bottom) < _ROUNDING:
        return name.top, name.bottom
    return metric_depth(top), metric_depth(bottom)


def _are_numbers(words: Sequence[str]) -> bool:
    return bool(words) and all(map(_is_number, words))


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _decode(line: bytes) -> str:
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")
