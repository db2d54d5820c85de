"""Delimited text files: encoding, delimiter, rows and numbers, whoever wrote them."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ...errors import InputError
from ...progress import Progress
from ..table import NO_VALUE
from .uscrn import with_header

DELIMITERS = (";", "\t", ",", "|")
ENDINGS = (".csv", ".txt", ".csv.gz", ".txt.gz")

_HEAD_ROWS, _MOST_HEAD_ROWS = 60, 1000
_NO_VALUE = NO_VALUE | {"-", "--", "#n/a", "nodata", "missing"}
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_PROGRESS_ROWS = 20_000


@dataclass(frozen=True)
class DelimitedText:
    """One file: its text, what separates its values, and its first rows.

    Parameters
    ----------
    name : str
        File name, for messages.
    head : tuple of (int, tuple of str)
        Line number (from 1) and stripped cells of the first rows that are not blank.
    first_line : int
        Number of the first line; 0 where it is a header that the file does not have.
    """

    name: str
    text: str
    delimiter: str
    head: tuple[tuple[int, tuple[str, ...]], ...]
    first_line: int = 1

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line number and the cells of every row that is not blank."""
        return _rows(self.text, self.delimiter, self.name, self.first_line)

    def columns(
        self, header_line: int, width: int, wanted: Sequence[int], progress: Progress
    ) -> tuple[np.ndarray, list[list[str]]]:
        """Return the line numbers (n,) and the cells of the columns `wanted` below the header.

        Comment rows (``#``) are passed over; cells that a short row lacks are empty.

        Raises
        ------
        InputError
            When a row holds more values than the header has columns.
        """
        lines: list[int] = []
        columns: list[list[str]] = [[] for _ in wanted]
        for count, (line, cells) in enumerate(self.rows()):
            if count % _PROGRESS_ROWS == 0:
                progress.check()
            if line <= header_line or cells[0].lstrip().startswith("#"):
                continue
            if len(cells) > width and any(cell.strip() for cell in cells[width:]):
                raise InputError(
                    f"Line {line} of {self.name} holds {len(cells)} values, but the header has "
                    f"{width} columns.",
                    "Decimal commas in a comma-separated file? Save it with semicolons.",
                )
            lines.append(line)
            for column, index in zip(columns, wanted):
                column.append(cells[index].strip() if index < len(cells) else "")
        return np.array(lines, dtype=np.int64), columns


def list_texts(source: Path) -> list[tuple[str, Callable[[], bytes]]]:
    """Return name and loader of each delimited file that `source` is or holds, by name.

    Parameters
    ----------
    source : Path
        A file (.csv, .txt, either with .gz), a folder or a zip archive of such files.

    Raises
    ------
    InputError
        When there is no such file or it holds none.
    """
    if not source.exists():
        raise InputError(f"INPUT '{source}' does not exist.")
    if source.is_dir():
        paths = sorted(path for path in source.rglob("*") if _is_text_name(path.name))
        found = [(str(path.relative_to(source)), _file_loader(path)) for path in paths]
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            names = sorted(name for name in archive.namelist() if _is_text_name(name))
        found = [(name, _member_loader(source, name)) for name in names]
    else:
        return [(source.name, _file_loader(source))]
    if not found:
        raise InputError(f"INPUT '{source}' holds no file ending in {', '.join(ENDINGS)}.")
    return found


def station_of_file(name: str) -> str:
    """Return the file's name without folders and endings, as the name of its station."""
    stem = PurePosixPath(name.replace("\\", "/")).name
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if stem.lower().endswith(ending):
            return stem[: -len(ending)]
    return stem


def open_text(name: str, load: Callable[[], bytes]) -> DelimitedText:
    """Decode a file and find what separates its values.

    UTF-8 (with or without byte order mark) and UTF-16 are recognised; what is neither is read as
    Windows-1252. Files of USCRN's daily product get the header they lack.

    Raises
    ------
    InputError
        When the file cannot be read, is empty, no text, or has no delimiter.
    """
    text = _decode(load(), name)
    completed = with_header(text)
    first_line = 1 if completed is None else 0
    text = text if completed is None else completed
    delimiter = _find_delimiter(text, name)
    head, comments = [], 0
    for line, cells in _rows(text, delimiter, name, first_line):
        head.append((line, tuple(cell.strip() for cell in cells)))
        comments += cells[0].lstrip().startswith("#")
        if len(head) - comments == _HEAD_ROWS or len(head) == _MOST_HEAD_ROWS:
            break
    return DelimitedText(name, text, delimiter, tuple(head), first_line)


def parse_numbers(texts: Sequence[str], lines: np.ndarray, column: str, file: str) -> np.ndarray:
    """Return a column as float64 (n,), NaN for missing; a column may have decimal commas.

    Raises
    ------
    InputError
        When a value is no number, or points and commas are mixed: names value, line and column.
    """
    parsed: dict[str, float | None] = {}
    commas, points = "", ""
    for text in set(texts):
        parsed[text] = _number(text)
        if _DECIMAL_COMMA.fullmatch(text):
            commas = text
        elif "." in text and parsed[text] is not None:
            points = text
    for line, text in zip(lines, texts):
        if parsed[text] is None:
            raise InputError(
                f"The value '{text}' in line {line}, column '{column}' of {file} is not a number.",
                "Correct it or leave it empty.",
            )
    if commas and points:
        raise InputError(
            f"Column '{column}' of {file} mixes decimal commas ('{commas}') and points "
            f"('{points}').",
            "Write all numbers alike.",
        )
    numbers = np.array([parsed[text] for text in texts], dtype=np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def is_number(text: str) -> bool:
    """Whether a cell holds a number."""
    value = _number(text)
    return value is not None and value == value


def _number(text: str) -> float | None:
    if text.lower() in _NO_VALUE:
        return float("nan")
    if "_" in text:
        return None
    try:
        return float(text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text)
    except ValueError:
        return None


def _is_text_name(name: str) -> bool:
    last = PurePosixPath(name).name
    return last.lower().endswith(ENDINGS) and not last.startswith(".") and "__MACOSX" not in name


def _file_loader(path: Path) -> Callable[[], bytes]:
    return lambda: _unpack(_read(path), path.name)


def _member_loader(source: Path, name: str) -> Callable[[], bytes]:
    def load() -> bytes:
        try:
            with zipfile.ZipFile(source) as archive:
                return _unpack(archive.read(name), name)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error) as error:
            raise InputError(f"'{name}' in {source.name} cannot be read: {error}.") from error

    return load


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}.") from error


def _unpack(data: bytes, name: str) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"'{name}' is a damaged gzip file: {error}.") from error


def _decode(data: bytes, name: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    if b"\0" in data[:4096]:
        raise InputError(f"'{name}' is not a text file.", "Choose a CSV file.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _rows(
    text: str, delimiter: str, name: str, first_line: int = 1
) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num + first_line - 1, cells
    except csv.Error as error:
        raise InputError(f"Line {reader.line_num} of {name} cannot be read: {error}.") from error


def _find_delimiter(text: str, name: str) -> str:
    """Return the delimiter that cuts most of the first lines into one number of values."""
    filled = [line for line in text[:200_000].splitlines() if line.strip()]
    if not filled:
        raise InputError(f"'{name}' is empty.")
    values = [line for line in filled if not line.lstrip().startswith("#")]
    lines = (values if len(values) > 1 else filled)[:_HEAD_ROWS]
    best, best_score = "", 0
    for delimiter in DELIMITERS:
        widths = Counter(len(cells) for _, cells in _rows("\n".join(lines), delimiter, name))
        count = max((count for width, count in widths.items() if width > 1), default=0)
        if count > best_score:
            best, best_score = delimiter, count
    if not best:
        raise InputError(
            f"'{name}' holds one column only.",
            "Values must be separated by semicolons, commas, tabs or |.",
        )
    return best
