"""How long a classic NetCDF file must be: libraries read zeros where one has been cut short."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import BinaryIO

from ..errors import RasterError

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}  # by type
_DIMENSION, _VARIABLE, _ATTRIBUTE = 10, 11, 12
_STREAMING = (2**32 - 1, 2**64 - 1)  # a number of records that was never filled in
_MOST = 1_000_000  # of anything in a header, or of the letters of a name


def check_complete(path: Path) -> None:
    """Raise where a classic NetCDF file (CDF-1, -2 or -5) is shorter than its header says.

    Files of other formats pass.

    Raises
    ------
    RasterError
        Says how much is missing.

    References
    ----------
    Unidata, NetCDF file format specifications: the classic format.
    """
    with path.open("rb") as file:
        magic = file.read(4)
        if magic[:3] != b"CDF" or magic[3:] not in (b"\x01", b"\x02", b"\x05"):
            return
        try:
            needed = _Header(file, magic[3]).needed()
        except (struct.error, ValueError, KeyError, IndexError) as error:
            raise RasterError(
                f"'{path}' cannot be opened as a NetCDF file: its header is damaged or cut short.",
                "Download it again.",
            ) from error
    size = path.stat().st_size
    if size < needed - 3:  # padding at the end may be missing
        raise RasterError(
            f"'{path}' has been cut short: it has {size} of {needed} bytes.", "Download it again."
        )


class _Header:
    def __init__(self, file: BinaryIO, version: int) -> None:
        self._file = file
        self._count = ">Q" if version == 5 else ">I"
        self._offset = ">I" if version == 1 else ">Q"

    def needed(self) -> int:
        """Return the bytes that dimensions and variables ask for."""
        records = self._number(self._count)
        lengths = self._dimensions()
        self._attributes()
        fixed, by_record = self._variables(lengths)
        needed = max((begin + size for begin, size in fixed), default=self._file.tell())
        if by_record and records and records not in _STREAMING:
            padded = sum(_padded(size) for _, size in by_record)
            step = by_record[0][1] if len(by_record) == 1 else padded
            needed = max(
                needed, *(begin + (records - 1) * step + size for begin, size in by_record)
            )
        return needed

    def _dimensions(self) -> list[int]:
        lengths = []
        for _ in range(self._items(_DIMENSION)):
            self._skip_name()
            lengths.append(self._number(self._count))
        return lengths

    def _attributes(self) -> None:
        for _ in range(self._items(_ATTRIBUTE)):
            self._skip_name()
            size = _SIZES[self._number(">I")]
            self._skip(_padded(size * self._number(self._count)))

    def _variables(self, lengths: list[int]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return first byte and size of the variables without and with the record dimension."""
        fixed, by_record = [], []
        for _ in range(self._items(_VARIABLE)):
            self._skip_name()
            shape = [lengths[self._number(self._count)] for _ in range(self._limited(self._count))]
            self._attributes()
            size = _SIZES[self._number(">I")]
            self._number(self._count)  # its own idea of the size, which may overflow
            begin = self._number(self._offset)
            if shape and shape[0] == 0:
                by_record.append((begin, size * math.prod(shape[1:])))
            else:
                fixed.append((begin, size * math.prod(shape)))
        return fixed, by_record

    def _items(self, tag: int) -> int:
        found, count = self._number(">I"), self._limited(self._count)
        if found not in (0, tag) or (found == 0 and count):
            raise ValueError("not a NetCDF header")
        return count

    def _skip_name(self) -> None:
        self._skip(_padded(self._limited(self._count)))

    def _limited(self, kind: str) -> int:
        number = self._number(kind)
        if number > _MOST:
            raise ValueError("not a NetCDF header")
        return number

    def _number(self, kind: str) -> int:
        return int(struct.unpack(kind, self._file.read(struct.calcsize(kind)))[0])

    def _skip(self, count: int) -> None:
        self._file.seek(count, 1)


def _padded(size: int) -> int:
    return (size + 3) // 4 * 4
