"""What file names, tags and SNAP's header tell of a radar image: orbit, start, band names."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import BinaryIO

from ...rasters.names import date_in_name

ASCENDING, DESCENDING, UNKNOWN = "asc", "desc", ""
ORBIT_NAMES = {ASCENDING: "ascending", DESCENDING: "descending", UNKNOWN: "unknown orbit"}

_WORDS = {
    ASCENDING: {"asc", "ascending"},
    DESCENDING: {"des", "desc", "dsc", "descending"},
}
_KEYS = (
    "orbitpass",
    "propertiespass",
    "passdirection",
    "orbitdirection",
    "orbitstate",
    "flightdirection",
)
# pyroSAR: sensor and mode in slots of four, then the orbit as one letter
_SLOTS = re.compile(r"(?<![A-Z0-9])S1[A-D]_+(?:IW|EW|SM|WV|S[1-6])_+([AD])_\d{8}", re.I)
_START = re.compile(r"(?<!\d)(\d{8})T(\d{2})(\d{2})(\d{2})(?!\d)", re.I)
# ASF's RTC products: gamma0 or sigma0, then power, amplitude or decibels, then four letters
_AMPLITUDE = re.compile(r"_RTC\d+_[A-Z]_[gs]a[a-z]{4}_", re.I)
_SNAP_TAG = 65000
_LONGEST_HEADER = 32 * 2**20
_SNAP_PASS = re.compile(r"""<MDATTR\s[^>]*name="PASS"[^>]*>\s*(\w+)\s*</MDATTR>""", re.I)
_SNAP_BAND = re.compile(
    r"<BAND_INDEX>\s*(\d+)\s*</BAND_INDEX>(?:(?!</Spectral_Band_Info>).)*?"
    r"<BAND_NAME>([^<]+)</BAND_NAME>",
    re.S,
)


@dataclass(frozen=True)
class SnapHeader:
    """What SNAP writes into a private tag of its GeoTIFFs: band names and orbit."""

    bands: tuple[str, ...]
    orbit: str


def orbit_in_tags(tags: Mapping[str, str]) -> str:
    """Return the orbit direction that metadata tells, `UNKNOWN` where none does.

    Known keys are those of Earth Engine, OPERA, STAC, S1Tiling and GAMMA, such as
    ``orbitProperties_pass``, ``ORBIT_PASS_DIRECTION`` or ``sat:orbit_state``.
    """
    for key, value in tags.items():
        plain = re.sub(r"[^a-z]", "", key.lower())
        if plain == "pass" or plain.endswith(_KEYS):
            orbit = _orbit_of_word(str(value), letters=True)
            if orbit:
                return orbit
    return UNKNOWN


def orbit_in_name(text: str) -> str:
    """Return the orbit direction in a file name.

    Read are the words ``ASC``, ``DESC`` and their like, and pyroSAR's letter.

    Examples
    --------
    >>> orbit_in_name("s1a_33NWB_vv_DES_007_20200108txxxxxx")
    'desc'
    >>> orbit_in_name("S1A__IW___A_20150309T173017_VV")
    'asc'
    """
    slots = _SLOTS.search(text)
    if slots:
        return _orbit_of_word(slots.group(1), letters=True)
    found = {_orbit_of_word(word) for word in re.split(r"[^A-Za-z]+", text)} - {UNKNOWN}
    return found.pop() if len(found) == 1 else UNKNOWN


def start_in_name(text: str) -> int | None:
    """Return the second of the day at which an image starts (``YYYYMMDDTHHMMSS``), else None."""
    for found in _START.finditer(text):
        hours, minutes, seconds = (int(part) for part in found.groups()[1:])
        if date_in_name(found.group(1))[0] and hours < 24 and minutes < 60 and seconds < 61:
            return 3600 * hours + 60 * minutes + seconds
    return None


def is_amplitude(text: str) -> bool:
    """Whether a file name of ASF's radiometrically corrected products says amplitude."""
    return _AMPLITUDE.search(text) is not None


def read_snap_header(path: Path) -> SnapHeader | None:
    """Return what SNAP tells in a GeoTIFF of its own, None in any other file.

    GDAL shows neither band names nor orbit of these files.
    """
    try:
        with path.open("rb") as file:
            text = _ascii_tag(file, _SNAP_TAG)
    except (OSError, struct.error):
        return None
    if "<Dimap_Document" not in text:
        return None
    bands = sorted((int(index), unescape(name).strip()) for index, name in _SNAP_BAND.findall(text))
    passed = _SNAP_PASS.search(text)
    return SnapHeader(
        tuple(name for _, name in bands),
        _orbit_of_word(passed.group(1)) if passed else UNKNOWN,
    )


def _orbit_of_word(text: str, *, letters: bool = False) -> str:
    word = text.strip().lower()
    for orbit, words in _WORDS.items():
        if word in words or (letters and word == orbit[0]):
            return orbit
    return UNKNOWN


def _ascii_tag(file: BinaryIO, wanted: int) -> str:
    """Return a text of the first directory of a TIFF, '' where there is none."""
    order = {b"II": "<", b"MM": ">"}.get(file.read(2))
    if order is None:
        return ""
    (version,) = struct.unpack(order + "H", file.read(2))
    if version == 42:
        count_code, entry_code, start = "H", "HHI4s", file.read(4)
    elif version == 43:
        file.seek(8)
        count_code, entry_code, start = "Q", "HHQ8s", file.read(8)
    else:
        return ""
    offset_code = order + ("I" if version == 42 else "Q")
    file.seek(struct.unpack(offset_code, start)[0])
    (count,) = struct.unpack(order + count_code, file.read(struct.calcsize(order + count_code)))
    size = struct.calcsize(order + entry_code)
    for _ in range(min(count, 4096)):
        tag, kind, length, value = struct.unpack(order + entry_code, file.read(size))
        if tag == wanted and kind == 2 and len(value) < length <= _LONGEST_HEADER:
            file.seek(struct.unpack(offset_code, value)[0])
            return file.read(length).decode("utf-8", "replace")
    return ""
