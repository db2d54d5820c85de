"""Readings of soil moisture from delimited files, long or wide."""

from __future__ import annotations

from datetime import tzinfo
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..progress import Progress
from .csv_layout import ColumnNames, Layout, find_layout, parse_depth
from .csv_reader import DelimitedText, list_texts, open_text, parse_numbers, station_of_file
from .moisture import MISSING_CODES
from .readings import Readings, join_readings
from .table import is_missing
from .times import parse_days


def read_readings(source: Path, names: ColumnNames, zone: tzinfo, progress: Progress) -> Readings:
    """Read the readings of a delimited file, or of all those of a folder or zip archive.

    Rows without a date or station are left out and counted. In a folder or archive, a file
    without a column of stations is one station, named as the file.

    Raises
    ------
    InputError
        When a column is not found, or a value is no date, number or depth: names value, line and
        column.
    """
    texts = list_texts(source)
    parts = []
    for count, (name, load) in enumerate(texts):
        part = progress.part(count / len(texts), (count + 1) / len(texts))
        part.step(0)
        parts.append(_read(open_text(name, load), names, zone, len(texts) > 1, part))
    return join_readings(parts)


def _read(
    text: DelimitedText, names: ColumnNames, zone: tzinfo, several: bool, progress: Progress
) -> Readings:
    layout = find_layout(text, names)
    own_station = ""
    if layout.station is None and not layout.values[0].station:
        if not several:
            raise InputError(
                f"No column of {text.name} is found to be the station.",
                f"Name it in STATION_COLUMN. Its columns are: {', '.join(layout.header)}.",
            )
        own_station = station_of_file(text.name)
    cells = _Cells(text, layout, progress)
    if not len(cells.lines):
        raise InputError(f"{text.name} holds no rows below its header.")
    days = cells.days(zone)
    progress.step(0.7)
    stations = cells.texts(layout.station, own_station)
    networks = cells.texts(layout.network)
    x, y = cells.numbers(layout.x, codes=True), cells.numbers(layout.y, codes=True)
    tops, bottoms = cells.depths()
    parts = []
    for column in layout.values:
        progress.check()
        depth = column.depth
        parts.append(
            Readings(
                station=np.full(len(days), column.station, object) if column.station else stations,
                network=networks,
                day=days,
                value=cells.numbers(column.index),
                depth_from=np.full(len(days), depth[0]) if depth else tops,
                depth_to=np.full(len(days), depth[1]) if depth else bottoms,
                x=x,
                y=y,
            )
        )
    progress.step(1)
    _tell_columns(text, layout, progress)
    return _with_station_and_day(join_readings(parts), progress)


class _Cells:
    """The cells of the columns that a layout uses, read once."""

    def __init__(self, text: DelimitedText, layout: Layout, progress: Progress) -> None:
        optional = (layout.time, layout.station, layout.network, layout.x, layout.y)
        used = {layout.date, *layout.depths, *(v.index for v in layout.values)}
        wanted = sorted(used | {place for place in optional if place is not None})
        width = len(layout.header)
        self.lines, columns = text.columns(layout.header_line, width, wanted, progress)
        self._columns = dict(zip(wanted, columns))
        self._layout = layout
        self._file = text.name

    def texts(self, place: int | None, default: str = "") -> np.ndarray:
        """Return a column of texts, whole numbers without decimals, '' for missing."""
        if place is None:
            return np.full(len(self.lines), default, dtype=object)
        cells = self._columns[place]
        shown = {cell: _station_text(cell) for cell in set(cells)}
        array = np.empty(len(cells), dtype=object)
        array[:] = [shown[cell] for cell in cells]
        return array

    def numbers(self, place: int | None, codes: bool = False) -> np.ndarray:
        """Return a column of numbers, NaN for missing and, with `codes`, for missing codes."""
        if place is None:
            return np.full(len(self.lines), np.nan)
        header = self._layout.header[place]
        values = parse_numbers(self._columns[place], self.lines, header, self._file)
        return np.where(np.isin(values, MISSING_CODES), np.nan, values) if codes else values

    def days(self, zone: tzinfo) -> np.ndarray:
        """Return the UTC days; a column of times of day completes that of the dates."""
        cells = self._columns[self._layout.date]
        header = self._layout.header[self._layout.date]
        if self._layout.time is not None and not any(":" in cell for cell in cells):
            times = self._columns[self._layout.time]
            cells = [f"{day} {time}".strip() if day else "" for day, time in zip(cells, times)]
        return parse_days(cells, self.lines, header, self._file, zone)

    def depths(self) -> tuple[np.ndarray, np.ndarray]:
        """Return upper and lower ends in metres, NaN where unknown."""
        if not self._layout.depths:
            unknown = np.full(len(self.lines), np.nan)
            return unknown, unknown
        ends = [self._depth_column(place) for place in self._layout.depths]
        return ends[0][:, 0], ends[-1][:, 1]

    def _depth_column(self, place: int) -> np.ndarray:
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


def _with_station_and_day(readings: Readings, progress: Progress) -> Readings:
    nameless, undated = readings.station == "", np.isnat(readings.day)
    for mask, what in ((nameless, "station"), (~nameless & undated, "date")):
        if mask.any():
            progress.warn(f"{int(mask.sum())} readings left out: no {what}.")
    kept = readings.take(~nameless & ~undated)
    if not len(kept):
        raise InputError("No reading has both a station and a date.")
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
