"""Lines of ISMN's .stm files as arrays, many lines at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_WIDEST_NUMBER, _WIDEST_FLAG = 16, 32
_TIME_WIDTH = 16
_PADDING = b"\n" + b" " * (_TIME_WIDTH + _WIDEST_FLAG)
_SLASH, _DASH, _COLON, _ZERO = 47, 45, 58, 48


@dataclass(frozen=True, eq=False)
class Lines:
    """The lines of a block of text that are not blank, cut into words.

    Parameters
    ----------
    text : uint8 (m,)
    number : int64 (n,)
        Place of each line in the block, from 0.
    first : int64 (n,)
        Place of its first word in `start`.
    words : int64 (n,)
        How many words it has.
    start, length : int64 (w,)
        Where each word of the block begins, and its width.
    """

    text: np.ndarray
    number: np.ndarray
    first: np.ndarray
    words: np.ndarray
    start: np.ndarray
    length: np.ndarray

    def take(self, rows: np.ndarray) -> Lines:
        """Return the lines of a mask."""
        kept = self.number[rows], self.first[rows], self.words[rows]
        return Lines(self.text, *kept, self.start, self.length)


def split_lines(block: bytes) -> tuple[Lines, int]:
    """Return the lines of a block and how many there are, blank ones included."""
    text = np.frombuffer(block + _PADDING, dtype=np.uint8)
    dark = text > 32
    edge = np.flatnonzero(dark[1:] != dark[:-1]) + 1
    if len(dark) and dark[0]:
        edge = np.r_[0, edge]
    start, length = edge[::2], edge[1::2] - edge[::2]
    newline = np.flatnonzero(text[: len(block)] == 10)
    begins = np.r_[0, newline + 1]
    first = np.searchsorted(start, begins)
    words = np.diff(np.r_[first, len(start)])
    filled = np.flatnonzero(words)
    return Lines(text, filled, first[filled], words[filled], start, length), len(newline)


def parse_moments(lines: Lines, word: int) -> np.ndarray:
    """Return date and time of each line, datetime64[s] (n,); NaT where there are none.

    Parameters
    ----------
    word : int
        Place of the date, ``YYYY/MM/DD``, in the line; the time, ``HH:MM``, is the next.
    """
    enough = lines.words > word + 1
    place = np.where(enough, lines.first + word, 0)
    digits = _characters(lines, place, 10)
    clock = _characters(lines, np.where(enough, place + 1, 0), 5)
    separator = digits[:, 4]
    good = enough & ((separator == _SLASH) | (separator == _DASH)) & (digits[:, 7] == separator)
    good &= (clock[:, 2] == _COLON) & (_lengths(lines, place) == 10)
    digits = digits.astype(np.int64) - _ZERO
    clock = clock.astype(np.int64) - _ZERO
    number = digits[:, [0, 1, 2, 3, 5, 6, 8, 9]]
    good &= ((number >= 0) & (number <= 9)).all(axis=1)
    parts = clock[:, [0, 1, 3, 4]]
    good &= ((parts >= 0) & (parts <= 9)).all(axis=1)
    year = number[:, 0] * 1000 + number[:, 1] * 100 + number[:, 2] * 10 + number[:, 3]
    month, day = number[:, 4] * 10 + number[:, 5], number[:, 6] * 10 + number[:, 7]
    hour, minute = parts[:, 0] * 10 + parts[:, 1], parts[:, 2] * 10 + parts[:, 3]
    good &= (year >= 1900) & (year < 2200) & (month >= 1) & (month <= 12) & (day >= 1)
    good &= (hour <= 24) & (minute < 60) & ((hour < 24) | (minute == 0))
    months = np.where(good, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + np.where(good, day - 1, 0)
    good &= days.astype("datetime64[M]") == months
    seconds = np.where(good, hour * 3600 + minute * 60, 0)
    moment = days.astype("datetime64[s]") + seconds.astype("timedelta64[s]")
    return np.where(good, moment, np.datetime64("NaT", "s"))


def parse_numbers(lines: Lines, word: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the number at a place of each line, float64 (n,), and the mask of readable ones."""
    texts, good = _texts(lines, word, _WIDEST_NUMBER)
    try:
        return texts.astype(np.float64), good
    except ValueError:
        known = {text: _number(text) for text in set(texts.tolist())}
        values = np.array([known[text][0] for text in texts.tolist()])
        return values, good & np.array([known[text][1] for text in texts.tolist()])


def parse_flags(lines: Lines, word: int) -> np.ndarray:
    """Return the word at a place of each line, bytes (n,); empty where there is none."""
    texts, good = _texts(lines, word, _WIDEST_FLAG)
    return np.where(good, texts, b"")


def _texts(lines: Lines, word: int, widest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a word of each line, bytes (n,), ``0`` where it is not there or too wide."""
    good = lines.words > word
    place = np.where(good, lines.first + word, 0)
    length = _lengths(lines, place)
    good &= length <= widest
    width = int(length[good].max(initial=1))
    characters = _characters(lines, place, width)
    characters[np.arange(width) >= length[:, None]] = 0
    texts = np.ascontiguousarray(characters).view(f"S{width}")[:, 0]
    return np.where(good, texts, b"0"), good


def _characters(lines: Lines, place: np.ndarray, width: int) -> np.ndarray:
    """Return the characters from the begin of a word on, uint8 (n, width)."""
    if not len(place):
        return np.zeros((0, width), dtype=np.uint8)
    return lines.text[lines.start[place][:, None] + np.arange(width)]


def _lengths(lines: Lines, place: np.ndarray) -> np.ndarray:
    return lines.length[place] if len(place) else np.zeros(0, dtype=np.int64)


def _number(text: bytes) -> tuple[float, bool]:
    try:
        return float(text), True
    except ValueError:
        return float("nan"), False
