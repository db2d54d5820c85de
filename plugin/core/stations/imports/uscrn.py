"""Daily files of the U.S. Climate Reference Network (product daily01), which have no header.

Columns as in NOAA's readme: https://www.ncei.noaa.gov/pub/data/uscrn/products/daily01/readme.txt
"""

from __future__ import annotations

import re

NETWORK = "USCRN"
_NAMES = (
    "WBANNO LST_DATE CRX_VN LONGITUDE LATITUDE T_DAILY_MAX T_DAILY_MIN T_DAILY_MEAN T_DAILY_AVG "
    "P_DAILY_CALC SOLARAD_DAILY SUR_TEMP_DAILY_TYPE SUR_TEMP_DAILY_MAX SUR_TEMP_DAILY_MIN "
    "SUR_TEMP_DAILY_AVG RH_DAILY_MAX RH_DAILY_MIN RH_DAILY_AVG SOIL_MOISTURE_5_DAILY "
    "SOIL_MOISTURE_10_DAILY SOIL_MOISTURE_20_DAILY SOIL_MOISTURE_50_DAILY "
    "SOIL_MOISTURE_100_DAILY SOIL_TEMP_5_DAILY SOIL_TEMP_10_DAILY SOIL_TEMP_20_DAILY "
    "SOIL_TEMP_50_DAILY SOIL_TEMP_100_DAILY"
)
COLUMNS = tuple(_NAMES.split())
_LINE = re.compile(r"\s*\d{5}\s+\d{8}\s+\S+\s+-?\d+\.\d+\s+-?\d+\.\d+\s")


def with_header(text: str) -> str | None:
    """Return such a file as comma-separated text with a header; None where it is none.

    Its first line is the header, which the file does not have; the network is a last column.
    """
    first = text.lstrip().split("\n", 1)[0]
    if not _LINE.match(first) or len(first.split()) != len(COLUMNS):
        return None
    rows = (line.split() for line in text.split("\n"))
    lines = [",".join([*cells, NETWORK]) if len(cells) == len(COLUMNS) else "" for cells in rows]
    return "\n".join([",".join([*COLUMNS, "network"]), *lines])
