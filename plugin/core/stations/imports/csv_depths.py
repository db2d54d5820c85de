"""Columns of moisture whose header tells the depth, as logger and network files write it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..moisture import depth_of_inches

_BRACKETS = re.compile(r"[\[(].*?[\])]")
_MOISTURE = re.compile(
    r"(?<![a-z])(?:soil[ _.]?moisture|moisture|vwc|swc|vw|sm|theta|water[ _.]?content)(?![a-z])"
)
_OTHER = re.compile(r"temp|tension|potential|suction|flag|(?<![a-z])(?:qc|sd|std|min|max)(?![a-z])")
_DEPTH = re.compile(
    r"(?<![\da-z.,])(?P<top>0 ?(?:-|–|to|_) ?)?(?P<depth>\d+(?:[.,]\d+)?)[ _]?"
    r"(?P<unit>mm|cm|m|in|inch|inches)(?![a-z0-9])"
)
_USCRN = re.compile(r"soil_moisture_(?P<depth>5|10|20|50|100)(?:_daily)?")
_SCAN = re.compile(r"sms\.i(?:-\d+)?:-(?P<depth>\d+)", re.IGNORECASE)
_SCAN_SITE = re.compile(r"(?P<site>.+\(\d+\)) soil moisture percent", re.IGNORECASE)
_METRES = {"mm": 0.001, "cm": 0.01, "m": 1.0}


def find_depths(header: Sequence[str]) -> list[tuple[int, tuple[float, float], str]]:
    """Return place, depth (from, to; m) and station of each column of moisture with a depth.

    Read are headers with a word for moisture and a depth with its unit, such as ``vwc_005cm`` or
    ``Soil Moisture 0-5 cm``; USCRN's ``SOIL_MOISTURE_5_DAILY`` (cm); and SCAN's ``Soil Moisture
    Percent -2in (pct)``, with a site before it or not, and ``SMS.I-1:-2`` (inches). The station
    is '' where the header names none.
    """
    found = []
    for index, name in enumerate(header):
        depth = header_depth(name)
        if depth is not None:
            site = _SCAN_SITE.match(name)
            found.append((index, depth, site["site"] if site else ""))
    return found


def header_depth(name: str) -> tuple[float, float] | None:
    """Return the depth (from, to; m) that a header of a column of moisture tells, else None."""
    text = name.strip().lower()
    uscrn, scan = _USCRN.fullmatch(text), _SCAN.match(text)
    if uscrn:
        return (int(uscrn["depth"]) / 100,) * 2
    if scan:
        return (depth_of_inches(int(scan["depth"])),) * 2
    bare = _BRACKETS.sub(" ", text)
    match = _DEPTH.search(bare.replace("_", " ")) if _MOISTURE.search(bare) else None
    if match is None or _OTHER.search(bare):
        return None
    number = float(match["depth"].replace(",", "."))
    if match["unit"].startswith("in"):
        depth = depth_of_inches(number)
    else:
        depth = round(number * _METRES[match["unit"]], 9)
    return (0.0 if match["top"] else depth), depth
