"""Readings of soil moisture from delimited files, long or wide."""

from __future__ import annotations

from dataclasses import replace
from datetime import tzinfo
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...progress import Progress
from ..moisture import MISSING_CODES
from ..station_names import tell_decimal_names
from ..table import is_missing
from ..times import parse_times
from .csv_clock import Clocks
from .csv_layout import ColumnNames, Layout, ValueColumn, find_layout, parse_depth, plain_header
from .csv_reader import DelimitedText, list_texts, open_text, parse_numbers, station_of_file
from .readings import Readings, join_readings
from .screening_drops import Drops, Sensor

_PROBLEMS_SHOWN = 10


def read_readings(
    source: Path, names: ColumnNames, zone: tzinfo, drops: Drops, progress: Progress
) -> Readings:
    """Read the readings of a delimited file, or of all those of a folder or zip archive.

    Rows without a date or station are left out and counted. In a folder or archive, a file
    without a column of stations is one station, named as the file, and files that cannot be read
    are left out and listed.

    Raises
    ------
    InputError
        When a column is not found, or a value is no date, number or depth: names value, line and
        column. Of several files, when none can be read.
    """
    texts = list_texts(source)
    parts: list[Readings] = []
    problems: list[InputError] = []
    clocks = Clocks()
    for count, (name, load) in enumerate(texts):
        part = progress.part(count / len(texts), (count + 1) / len(texts))
        part.step(0)
        try:
            readings = _read(
                open_text(name, load), names, zone, len(texts) > 1, drops, clocks, part
            )
        except InputError as error:
            problems.append(error)
            drops.add(Sensor(), "unreadable file", f"{name}: {error.cause}")
            continue
        parts.append(replace(readings, series=readings.series + (count << 20)))
    if not parts:
        raise problems[0]
    if problems:
        causes = " ".join(error.cause for error in problems[:_PROBLEMS_SHOWN])
        more = len(problems) - _PROBLEMS_SHOWN
        progress.warn(
            f"{len(problems)} of {len(texts)} files cannot be read and are left out: {causes}"
            + (f" And {more} more." if more > 0 else "")
        )
    readings = join_readings(parts)
    clocks.tell(zone, progress)
    tell_decimal_names(readings.station, "STATION_COLUMN", progress)
    return readings


def _read(
    text: DelimitedText,
    names: ColumnNames,
    zone: tzinfo,
    several: bool,
    drops: Drops,
    clocks: Clocks,
    progress: Progress,
) -> Readings:
    layout = find_layout(text, names)
    own_station = ""
    if layout.station is None and not layout.values[0].station:
        if not several:
            raise InputError(
                f"No column of {text.name} is found to be the station.",
                f"Name it in STATION_COLUMN, or give a folder of files that are one station each. "
                f"Its columns are: {', '.join(layout.header)}.",
            )
        own_station = station_of_file(text.name)
    cells = _Cells(text, layout, progress)
    if not len(cells.lines):
        raise InputError(f"{text.name} holds no rows below its header.")
    times = cells.times(zone, clocks)
    progress.step(0.7)
    parts = []
    for column in layout.values:
        progress.check()
        parts.append(_column(cells, layout, column, times, own_station))
    progress.step(1)
    _tell_columns(text, layout, progress)
    lines = np.tile(cells.lines, len(parts))
    return _with_station_and_time(join_readings(parts), lines, text.name, drops, progress)


def _column(
    cells: _Cells, layout: Layout, column: ValueColumn, times: np.ndarray, own_station: str
) -> Readings:
    n = len(times)
    depth = column.depth
    tops, bottoms = (np.full(n, end) for end in depth) if depth else cells.depths()
    station = np.full(n, column.station, object) if column.station else None
    return Readings(
        station=cells.texts(layout.station, own_station) if station is None else station,
        network=cells.texts(layout.network),
        time=times,
        value=cells.numbers(column.index),
        depth_from=tops,
        depth_to=bottoms,
        x=cells.numbers(layout.x, codes=True),
        y=cells.numbers(layout.y, codes=True),
        temperature=cells.numbers(layout.temperature_of(column), codes=True),
        series=np.full(n, column.index, dtype=np.int64),
    )


class _Cells:
    """The cells of the columns that a layout uses, read once."""

    def __init__(self, text: DelimitedText, layout: Layout, progress: Progress) -> None:
        optional = (layout.time, layout.station, layout.network, layout.x, layout.y)
        used = {layout.date, *layout.depths}
        used |= {column.index for column in (*layout.values, *layout.temperatures)}
        wanted = sorted(used | {place for place in optional if place is not None})
        width = len(layout.header)
        self.lines, columns = text.columns(layout.header_line, width, wanted, progress)
        self._columns = dict(zip(wanted, columns))
        self._layout = layout
        self._file = text.name
        self._texts: dict[int, np.ndarray] = {}
        self._numbers: dict[int, np.ndarray] = {}
        self._depths: dict[int, np.ndarray] = {}

    def texts(self, place: int | None, default: str = "") -> np.ndarray:
        """Return a column of texts, whole numbers without decimals, '' for missing."""
        if place is None:
            return np.full(len(self.lines), default, dtype=object)
        if place not in self._texts:
            cells = self._columns[place]
            shown = {cell: _station_text(cell) for cell in set(cells)}
            array = np.empty(len(cells), dtype=object)
            array[:] = [shown[cell] for cell in cells]
            self._texts[place] = array
        return self._texts[place]

    def numbers(self, place: int | None, codes: bool = False) -> np.ndarray:
        """Return a column of numbers, NaN for missing and, with `codes`, for missing codes."""
        if place is None:
            return np.full(len(self.lines), np.nan)
        if place not in self._numbers:
            header = self._layout.header[place]
            parsed = parse_numbers(self._columns[place], self.lines, header, self._file)
            self._numbers[place] = parsed
        values = self._numbers[place]
        return np.where(np.isin(values, MISSING_CODES), np.nan, values) if codes else values

    def times(self, zone: tzinfo, clocks: Clocks) -> np.ndarray:
        """Return the moments in UTC; a column of times of day completes that of the dates."""
        cells = self._columns[self._layout.date]
        header = self._layout.header[self._layout.date]
        if self._layout.time is not None and not any(":" in cell for cell in cells):
            times = self._columns[self._layout.time]
            cells = [f"{day} {time}".strip() if day else "" for day, time in zip(cells, times)]
        moments = parse_times(cells, self.lines, header, self._file, zone)
        clocks.hear(header, cells, moments)
        return moments

    def depths(self) -> tuple[np.ndarray, np.ndarray]:
        """Return upper and lower ends in metres, NaN where unknown."""
        if not self._layout.depths:
            unknown = np.full(len(self.lines), np.nan)
            return unknown, unknown
        ends = [self._depth_column(place) for place in self._layout.depths]
        return ends[0][:, 0], ends[-1][:, 1]

    def _depth_column(self, place: int) -> np.ndarray:
        if place not in self._depths:
            self._depths[place] = self._parsed_depths(place)
        return self._depths[place]

    def _parsed_depths(self, place: int) -> np.ndarray:
        cells = self._columns[place]
        parsed: dict[str, tuple[float, float] | None] = {}
        for cell in set(cells):
            depth = parse_depth(cell, self._layout.depth_unit)
            if is_missing(cell) or (depth and depth[0] / self._layout.depth_unit in MISSING_CODES):
                depth = (np.nan, np.nan)
            parsed[cell] = depth
        for line, cell in zip(self.lines, cells):
            if parsed[cell] is None:
                raise InputError(
                    f"The value '{cell}' in line {line}, column '{self._layout.header[place]}' of "
                    f"{self._file} is not a depth.",
                    "Write metres, positive down, such as 0.05 or 0-0.05.",
                )
        return np.array([parsed[cell] for cell in cells], dtype=np.float64)


def _station_text(cell: str) -> str:
    stripped = cell.strip()
    whole, point, decimals = stripped.partition(".")
    if point and decimals and not decimals.strip("0") and whole.lstrip("+-").isdigit():
        return whole
    return stripped


def _with_station_and_time(
    readings: Readings, lines: np.ndarray, file: str, drops: Drops, progress: Progress
) -> Readings:
    nameless, undated = readings.station == "", np.isnat(readings.time)
    for mask, what in ((nameless, "station"), (~nameless & undated, "date")):
        if mask.any():
            drops.add_readings(readings.take(mask), f"no {what}", file)
            first = int(lines[mask].min())
            progress.warn(
                f"{int(mask.sum())} readings left out: no {what} (first in line {first} of {file})."
            )
    kept = readings.take(~nameless & ~undated)
    if not len(kept):
        raise InputError(
            f"No reading of {file} has both a station and a date.",
            "Name the columns in STATION_COLUMN and DATE_COLUMN, and fill them.",
        )
    return kept


def _tell_columns(text: DelimitedText, layout: Layout, progress: Progress) -> None:
    places = {
        "station": layout.station, "date": layout.date, "time": layout.time,
        "network": layout.network, "x": layout.x, "y": layout.y,
    }  # fmt: skip
    named = [f"{role} '{layout.header[i]}'" for role, i in places.items() if i is not None]
    named += [f"depth '{layout.header[place]}'" for place in layout.depths]
    values = [layout.header[value.index] for value in layout.values]
    shown = ", ".join(f"'{name}'" for name in values[:10]) + (", …" if len(values) > 10 else "")
    progress.info(f"Columns of {text.name}: {', '.join(named)}, readings {shown}.")
    if not layout.temperatures:
        soil = [name for name in layout.header if _is_soil_temperature(name)]
        if soil:
            progress.info(
                f"{text.name} holds soil temperature ('{soil[0]}'): name it in "
                "TEMPERATURE_COLUMNS to leave out readings of frozen soil."
            )


def _is_soil_temperature(header: str) -> bool:
    return plain_header(header).startswith(("soil_temp", "tsoil", "soiltemp"))
