"""A table of points: the one shape in which readings reach the core and leave it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError

NO_VALUE = frozenset({"", "na", "n/a", "nan", "null", "none"})
"""Texts, in lower case, that stand for a missing value."""

_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_WHOLE = re.compile(r"[+-]?\d+\.0+")
_DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?:[T ].*)?")


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length, with the position of each row.

    Parameters
    ----------
    columns : mapping of str to array_like, each (n,)
        Numbers become float64 with NaN for missing, texts object arrays with '' for missing,
        dates datetime64[D] with NaT for missing.
    x, y : array_like (n,), optional
        Coordinates in `crs`; NaN where a row has no point, and everywhere when left out.
    crs : str
        Coordinate reference system as WKT; empty when there are no points.

    Raises
    ------
    InputError
        When the columns differ in length.
    """

    columns: Mapping[str, np.ndarray]
    x: np.ndarray = None  # type: ignore[assignment]
    y: np.ndarray = None  # type: ignore[assignment]
    crs: str = ""

    def __post_init__(self) -> None:
        columns = {name: _column(values) for name, values in self.columns.items()}
        lengths = {len(values) for values in columns.values()}
        lengths |= {len(v) for v in (self.x, self.y) if v is not None}
        if len(lengths) > 1:
            raise InputError(f"The columns of a table differ in length: {sorted(lengths)}.")
        rows = lengths.pop() if lengths else 0
        for name in ("x", "y"):
            given = getattr(self, name)
            values = np.full(rows, np.nan) if given is None else np.asarray(given, np.float64)
            object.__setattr__(self, name, values)
        object.__setattr__(self, "columns", columns)

    def __len__(self) -> int:
        return len(self.x)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fields, in order."""
        return tuple(self.columns)

    def has(self, name: str) -> bool:
        """Whether there is a field `name`."""
        return name in self.columns

    def column(self, name: str) -> np.ndarray:
        """Return the field `name` as it is stored.

        Raises
        ------
        InputError
            When there is no such field; the fields there are get listed.
        """
        if name not in self.columns:
            raise InputError(
                f"There is no field '{name}'.",
                f"The fields are: {', '.join(self.columns) or 'none'}.",
            )
        return self.columns[name]

    def is_numeric(self, name: str, text: bool = True) -> bool:
        """Whether the field holds numbers; with `text`, also as text that parses throughout."""
        values = self.column(name)
        if values.dtype.kind == "f":
            return True
        if values.dtype.kind != "O" or not text:
            return False
        filled = [value for value in set(values) if not is_missing(value)]
        return bool(filled) and all(parse_number(value) is not None for value in filled)

    def has_decimal_commas(self, name: str) -> bool:
        """Whether a text field holds nothing but numbers, some with a decimal comma."""
        values = self.column(name)
        if values.dtype.kind != "O":
            return False
        filled = [value for value in set(values) if not is_missing(value)]
        commas = [v for v in filled if _DECIMAL_COMMA.fullmatch(v.strip())]
        return bool(commas) and all(
            parse_number(value.replace(",", ".", 1)) is not None for value in filled
        )

    def numeric(self, name: str) -> np.ndarray:
        """Return the field as float64 (n,), NaN for missing and for infinite values.

        Raises
        ------
        InputError
            When a text does not parse as a number: names the value, the row (from 1) and the
            field.
        """
        values = self.column(name)
        if values.dtype.kind == "M":
            raise InputError(f"The field '{name}' holds dates.", "Choose a field with numbers.")
        if values.dtype.kind == "f":
            return np.where(np.isfinite(values), values, np.nan)
        parsed = {text: parse_number(text) for text in set(values)}
        for row, text in enumerate(values, start=1):
            if parsed[text] is None:
                raise InputError(
                    f"The value '{text}' in row {row} of the field '{name}' is not a number.",
                    _number_cure(text),
                )
        numbers = np.array([parsed[text] for text in values], dtype=np.float64)
        return np.where(np.isfinite(numbers), numbers, np.nan)

    def text(self, name: str) -> np.ndarray:
        """Return the field as an object array (n,) of stripped texts, '' for missing.

        Whole numbers lose their decimals, also in texts ('12.0' from a CSV file is '12'); other
        numbers keep their shortest form, so 12.5 stays apart from 12.
        """
        values = self.column(name)
        if values.dtype.kind == "f":
            return _object([_number_text(value) for value in values])
        if values.dtype.kind == "M":
            return _object(["" if np.isnat(value) else str(value) for value in values])
        shown = {value: _clean_text(value) for value in set(values)}
        return _object([shown[value] for value in values])

    def dates(self, name: str) -> np.ndarray:
        """Return the field as datetime64[D] (n,), NaT for missing.

        ISO texts may carry a time, which is dropped; numbers are read as YYYYMMDD.

        Raises
        ------
        InputError
            When a value is not a date: names the value, the row (from 1) and the field.
        """
        values = self.column(name)
        if values.dtype.kind == "M":
            return values
        texts = self.text(name)
        parsed: dict[str, np.datetime64 | None] = {value: parse_date(value) for value in set(texts)}
        for row, value in enumerate(texts, start=1):
            if parsed[value] is None:
                raise InputError(
                    f"The value '{value}' in row {row} of the field '{name}' is not a date.",
                    "Write dates as YYYY-MM-DD.",
                )
        return np.array([parsed[value] for value in texts], dtype="datetime64[D]")

    def take(self, rows: np.ndarray) -> Table:
        """Return the rows of a mask or of an index array, in that order."""
        columns = {name: values[rows] for name, values in self.columns.items()}
        return Table(columns, self.x[rows], self.y[rows], self.crs)

    def with_columns(self, columns: Mapping[str, Any]) -> Table:
        """Return the table with further fields; fields of the same name are replaced."""
        return Table({**self.columns, **columns}, self.x, self.y, self.crs)

    def without(self, names: Iterable[str]) -> Table:
        """Return the table without the fields `names`."""
        left_out = set(names)
        columns = {name: v for name, v in self.columns.items() if name not in left_out}
        return Table(columns, self.x, self.y, self.crs)


def is_missing(text: str) -> bool:
    """Whether a text stands for a missing value."""
    return text.strip().lower() in NO_VALUE


def parse_number(text: str) -> float | None:
    """Return the number a text holds, NaN for a missing one, None for what is no number."""
    stripped = text.strip()
    if stripped.lower() in NO_VALUE:
        return float("nan")
    if "_" in stripped:
        return None
    try:
        return float(stripped)
    except ValueError:
        return None


def parse_date(text: str) -> np.datetime64 | None:
    """Return the day an ISO text names, NaT for a missing one, None for what is no date."""
    stripped = text.strip()
    if stripped.lower() in NO_VALUE or stripped == "NaT":
        return np.datetime64("NaT", "D")
    match = _DATE.fullmatch(stripped)
    if match is None:
        return None
    try:
        return np.datetime64("-".join(match.groups()), "D")
    except ValueError:
        return None


def _column(values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind == "M":
        return array.astype("datetime64[D]")
    if array.dtype.kind in "fiub":
        return array.astype(np.float64)
    return _object(["" if value is None else str(value) for value in array])


def _object(values: list[str]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _number_text(value: float) -> str:
    if np.isnan(value):
        return ""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _clean_text(value: str) -> str:
    stripped = value.strip()
    return stripped.split(".")[0] if _WHOLE.fullmatch(stripped) else stripped


def _number_cure(text: str) -> str:
    if _DECIMAL_COMMA.fullmatch(text.strip()):
        return "It has a decimal comma: write numbers with a decimal point."
    return "Correct it or leave it empty."
