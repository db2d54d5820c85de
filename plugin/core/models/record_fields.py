"""Reading fields of a model's document by name and type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import ModelFileError


class Fields:
    """A record of a JSON document whose fields are read with a check of their type.

    Parameters
    ----------
    values : mapping
        The record.
    file : str
        Name of the file, for messages.
    place : str
        Where in the document the record stands, for messages.
    """

    def __init__(self, values: Mapping[str, Any], file: str, place: str = "") -> None:
        self._values = values
        self._file = file
        self._place = place

    def has(self, name: str) -> bool:
        """Return whether the field is there and not null."""
        return self._values.get(name) is not None

    def text(self, name: str) -> str:
        """Return a text."""
        value = self._values.get(name)
        return value if isinstance(value, str) else self._refuse(name, "a text")

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        values = self._list(name, "a list of texts")
        return tuple(v if isinstance(v, str) else self._refuse(name, "texts") for v in values)

    def number(self, name: str) -> float:
        """Return a finite number."""
        value: Any = self._values.get(name)
        return float(value) if _is_number(value) else self._refuse(name, "a number")

    def whole(self, name: str) -> int:
        """Return a whole number of at least 0."""
        value = self._values.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        return self._refuse(name, "a whole number")

    def whole_numbers(self) -> dict[str, int]:
        """Return the record itself, all of whose fields are whole numbers."""
        return {name: self.whole(name) for name in self._values}

    def numbers(self, name: str, *, gap: float | None = None) -> tuple[float, ...]:
        """Return a list of numbers; null is read as `gap` where one is given."""
        found = []
        for value in self._list(name, "a list of numbers"):
            if value is None and gap is not None:
                found.append(gap)
            elif _is_number(value):
                found.append(float(value))
            else:
                self._refuse(name, "numbers")
        return tuple(found)

    def pair(self, name: str) -> tuple[float, float] | None:
        """Return two numbers in ascending order, or None for null."""
        if not self.has(name):
            return None
        values = self.numbers(name)
        if len(values) != 2 or values[0] > values[1]:
            self._refuse(name, "a range")
        return values[0], values[1]

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        """Return one of the texts allowed."""
        value = self.text(name)
        return value if value in allowed else self._refuse(name, "one of " + ", ".join(allowed))

    def record(self, name: str) -> Fields:
        """Return a record within this one."""
        return Fields(self.mapping(name), self._file, self._inner(name))

    def mapping(self, name: str) -> dict[str, Any]:
        """Return a record as it is."""
        value = self._values.get(name)
        return value if isinstance(value, dict) else self._refuse(name, "a record")

    def mappings(self, name: str) -> tuple[dict[str, Any], ...]:
        """Return a list of records as they are."""
        values = self._list(name, "a list of records")
        return tuple(v if isinstance(v, dict) else self._refuse(name, "records") for v in values)

    def records(self, name: str) -> tuple[Fields, ...]:
        """Return a list of records."""
        return tuple(
            Fields(values, self._file, f"{self._inner(name)}[{i}]")
            for i, values in enumerate(self.mappings(name))
        )

    def _list(self, name: str, kind: str) -> list[Any]:
        value = self._values.get(name)
        return value if isinstance(value, list) else self._refuse(name, kind)

    def _inner(self, name: str) -> str:
        return f"{self._place}.{name}" if self._place else name

    def _refuse(self, name: str, kind: str) -> Any:
        raise ModelFileError(
            f"The model file '{self._file}' is damaged or not a model of this plugin: "
            f"'{self._inner(name)}' is not {kind}.",
            "Fetch or train it again.",
        )


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
