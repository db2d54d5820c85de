"""Which column of a delimited file holds what: named by the user or found by its header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import InputError
from ..times import looks_like_date
from .csv_depths import find_depths
from .csv_reader import DelimitedText, is_number

HEADERS = {
    "station": "station station_id stationid station_name site site_id siteid site_name "
    "location_id location logger logger_id probe probe_id sensor sensor_id wban wbanno plot "
    "plot_id id",
    "date": "datetime date_time timestamp date_utc datetime_utc utc_datetime utc_date lst_date "
    "date day measurement_date obs_date observation_date sampling_date time",
    "time": "time time_utc utc_time hour time_of_day",
    "value": "moisture soil_moisture soilmoisture vwc volumetric_water_content "
    "volumetric_soil_moisture water_content soil_water_content swc sm theta value",
    "depth": "depth depth_m depth_cm sensor_depth measurement_depth",
    "depth_from": "depth_from depth_top depth_upper from_depth upper_depth",
    "depth_to": "depth_to depth_bottom depth_lower to_depth lower_depth",
    "network": "network network_name network_id",
    "x": "x lon longitude long lng easting x_coord coord_x utm_e utm_easting",
    "y": "y lat latitude northing y_coord coord_y utm_n utm_northing",
}
"""Headers found without being named, the likeliest first; compared by `plain_header`."""

ALL_COLUMNS = "*"
_RANGE = re.compile(
    r"(-?\d+(?:[.,]\d+)?)(?:\s*(?:-|–|to|_)\s*(\d+(?:[.,]\d+)?))?\s*(mm|cm|m)?", re.IGNORECASE
)
_METRES = {"mm": 0.001, "cm": 0.01, "m": 1.0}
_UNIT_ROWS = 3


@dataclass(frozen=True)
class ColumnNames:
    """Columns as the user names them; empty = found by header.

    Parameters
    ----------
    values : str
        One name = a reading a row; ``name=depth;name=depth`` = a column a depth; ``*`` = a column
        a station.
    temperature : str
        Soil temperature, °C: one name, or ``name=depth;name=depth``; empty = none.
    """

    station: str = ""
    date: str = ""
    values: str = ""
    temperature: str = ""
    depth: str = ""
    network: str = ""
    x: str = ""
    y: str = ""


@dataclass(frozen=True)
class ValueColumn:
    """A column of readings, with depth (from, to; m) and station where its header tells them."""

    index: int
    depth: tuple[float, float] | None = None
    station: str = ""


@dataclass(frozen=True)
class Layout:
    """Places of the columns in a file; None where there is no such column.

    `header_line` is the last line above the readings; `depths` holds the column of the depth, or
    of its upper and lower end, and `depth_unit` their unit in metres.
    """

    header: tuple[str, ...]
    header_line: int
    date: int
    time: int | None
    station: int | None
    network: int | None
    x: int | None
    y: int | None
    depths: tuple[int, ...]
    depth_unit: float
    values: tuple[ValueColumn, ...]
    temperatures: tuple[ValueColumn, ...] = ()

    def temperature_of(self, column: ValueColumn) -> int | None:
        """Return the column of the soil temperature at the depth of a value column."""
        for other in self.temperatures:
            if other.depth is None or other.depth == column.depth:
                return other.index
        return None


def find_layout(text: DelimitedText, names: ColumnNames) -> Layout:
    """Find the header row and in it the columns.

    The header is the row of the first 60 that holds most of the headers looked for, so lines
    above it do no harm; rows of units below it are passed over.

    Raises
    ------
    InputError
        When a column is not found or its name is there twice; the columns there are get listed.
    """
    place = _header_place(text, names)
    line, header = text.head[place]
    find = _Finder(header, text.name)
    date = find.named(names.date, "DATE_COLUMN", "date")
    time = None if names.date else find.found("time")
    depths, depth_unit = _depths(find, names)
    by_station = names.values.strip() == ALL_COLUMNS
    look_up = find.given if by_station else find.optional
    others = {
        "network": look_up(names.network, "NETWORK_COLUMN", "network"),
        "x": look_up(names.x, "X_COLUMN", "x"),
        "y": look_up(names.y, "Y_COLUMN", "y"),
    }
    temperatures = _named_columns(find, names.temperature, "TEMPERATURE_COLUMNS")
    if by_station and temperatures:
        raise InputError(
            "TEMPERATURE_COLUMNS cannot be used with a column a station.",
            "Leave it empty, or give one reading a row.",
        )
    if by_station:
        station = None
        taken = {date, time, *depths, *others.values()}
        values = [
            ValueColumn(index, station=name)
            for index, name in enumerate(header)
            if name and index not in taken
        ]
    else:
        station = find.optional(names.station, "STATION_COLUMN", "station")
        values = _values(find, names.values)
    return Layout(
        header=header,
        header_line=_last_header_line(text, place, date, values, line),
        date=date,
        time=time if time != date else None,
        station=station,
        depths=depths,
        depth_unit=depth_unit,
        values=tuple(values),
        temperatures=tuple(temperatures),
        **others,
    )


def parse_depth(text: str, unit: float = 1.0) -> tuple[float, float] | None:
    """Return depth as (from, to) in metres of a text such as ``0.05``, ``0-0.05`` or ``5 cm``.

    None where the text is no depth. One number is a point sensor. `unit` holds where the text
    names none.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        return None
    scale = _METRES[match[3].lower()] if match[3] else unit
    top = float(match[1].replace(",", ".")) * scale
    bottom = float(match[2].replace(",", ".")) * scale if match[2] else top
    return round(top, 9), round(bottom, 9)


def plain_header(name: str) -> str:
    """Return a header in lower case, without units in brackets, words joined by ``_``."""
    without_unit = re.sub(r"[\[(].*?[\])]", "", name.lower().lstrip("#"))
    return re.sub(r"[\s.\-_]+", "_", without_unit.strip()).strip("_")


class _Finder:
    """Looks up columns of one header."""

    def __init__(self, header: Sequence[str], file: str) -> None:
        self.header = list(header)
        self.plain = [plain_header(name) for name in header]
        self.file = file

    def found(self, role: str) -> int | None:
        """Return the column whose header is the likeliest for a role."""
        for alias in HEADERS[role].split():
            places = [index for index, name in enumerate(self.plain) if name == alias]
            if len(places) > 1:
                raise self._twice(self.header[places[0]])
            if places:
                return places[0]
        return None

    def place(self, name: str) -> int | None:
        """Return the column of a name: written so, else the same but for case and units."""
        wanted = name.strip()
        for names, key in ((self.header, wanted), (self.plain, plain_header(wanted))):
            places = [index for index, other in enumerate(names) if other == key]
            if len(places) > 1:
                raise self._twice(wanted)
            if places:
                return places[0]
        return None

    def optional(self, name: str, parameter: str, role: str) -> int | None:
        """Return the column a parameter names, else the one found by its header, else None."""
        if not name.strip():
            return self.found(role)
        return self.given(name, parameter, role)

    def given(self, name: str, parameter: str, role: str) -> int | None:
        """Return the column a parameter names; None where it names none."""
        if not name.strip():
            return None
        place = self.place(name)
        if place is None:
            raise InputError(
                f"{parameter} names '{name}', which {self.file} does not have.", self.listed()
            )
        return place

    def named(self, name: str, parameter: str, role: str) -> int:
        """Return the column a parameter names, else the one found by its header.

        Raises
        ------
        InputError
            When there is none.
        """
        place = self.optional(name, parameter, role)
        if place is None:
            raise InputError(
                f"No column of {self.file} is found to be the {role}.",
                f"Name it in {parameter}. {self.listed()}",
            )
        return place

    def listed(self) -> str:
        """Return the columns there are, as a sentence."""
        return f"Its columns are: {', '.join(name for name in self.header if name)}."

    def _twice(self, name: str) -> InputError:
        return InputError(
            f"The column '{name}' is twice in {self.file}.", "Give each column its own name."
        )


def _header_place(text: DelimitedText, names: ColumnNames) -> int:
    """Return the place in the head of the row with most of the headers looked for."""
    given = {names.station, names.date, names.depth, names.network, names.x, names.y}
    given |= {name for name, _ in _split_values(f"{names.values};{names.temperature}")}
    wanted = {plain_header(name) for name in given if name.strip()} - {ALL_COLUMNS}
    known = {alias for aliases in HEADERS.values() for alias in aliases.split()}
    scores = []
    for _, cells in text.head:
        plain = [plain_header(cell) for cell in cells]
        own = sum(name in wanted for name in plain)
        scores.append((own, sum(name in known for name in plain) + bool(find_depths(cells))))
    best = max(scores)
    if best == (0, 0):
        shown = " | ".join(text.head[0][1])
        raise InputError(
            f"No header is found in {text.name}; its first row is: {shown}.",
            "The file needs a row of column names; name the columns to read.",
        )
    return scores.index(best)


def _last_header_line(
    text: DelimitedText, place: int, date: int, values: Sequence[ValueColumn], line: int
) -> int:
    """Return the line of the header, or of the rows of units and kinds below it."""
    for below, cells in text.head[place + 1 : place + 1 + _UNIT_ROWS]:
        width = len(cells)
        dated = date < width and (
            looks_like_date(cells[date]) or any(map(str.isdigit, cells[date]))
        )
        read = any(v.index < width and is_number(cells[v.index]) for v in values)
        if dated or read:
            break
        line = below
    return line


def _split_values(values: str) -> list[tuple[str, str]]:
    """Return name and depth text of each part of ``name=depth;name=depth``."""
    parts = [part.strip() for part in values.split(";") if part.strip()]
    split = [part.rpartition("=") for part in parts]
    return [(name.strip(), depth.strip()) if sign else (depth, "") for name, sign, depth in split]


def _values(find: _Finder, values: str) -> list[ValueColumn]:
    """Return the columns of readings: named, else one by its header, else all with a depth."""
    if _split_values(values):
        return _named_columns(find, values, "VALUE_COLUMNS")
    place = find.found("value")
    by_depth = [] if place is not None else find_depths(find.header)
    if by_depth:
        return [ValueColumn(index, depth, station) for index, depth, station in by_depth]
    return [ValueColumn(find.named("", "VALUE_COLUMNS", "value"))]


def _named_columns(find: _Finder, text: str, parameter: str) -> list[ValueColumn]:
    parts = _split_values(text)
    if len(parts) > 1 and any(not depth for _, depth in parts):
        bare = next(name for name, depth in parts if not depth)
        raise InputError(
            f"{parameter} names '{bare}' without a depth.",
            "Write name=depth;name=depth, or one name.",
        )
    columns = []
    for name, depth_text in parts:
        depth = parse_depth(depth_text) if depth_text else None
        if depth_text and depth is None:
            raise InputError(
                f"{parameter} gives the depth '{depth_text}' for '{name}', which is no number.",
                "Write metres, positive down, such as 0.05 or 0-0.05.",
            )
        columns.append(ValueColumn(find.named(name, parameter, "value"), depth))
    if len({column.index for column in columns}) < len(columns):
        raise InputError(f"{parameter} names a column twice.", "Give each column one depth.")
    return columns


def _depths(find: _Finder, names: ColumnNames) -> tuple[tuple[int, ...], float]:
    """Return the columns of the depth and their unit in metres, told by the header."""
    ends = [find.found("depth_from"), find.found("depth_to")]
    if names.depth.strip() or None in ends:
        place = find.optional(names.depth, "DEPTH_COLUMN", "depth")
        places: tuple[int, ...] = () if place is None else (place,)
    else:
        places = tuple(end for end in ends if end is not None)
    if not places:
        return (), 1.0
    header = find.header[places[0]].lower()
    unit = re.search(r"[\s_(\[](mm|cm)[)\]]?$", header)
    return places, _METRES[unit[1]] if unit else 1.0
