"""What satellite products call their bands, and how their stored numbers become reflectance."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterable, Mapping, Sequence

from ...errors import InputError

ROLES = ("blue", "green", "red", "nir", "swir1240", "swir1640", "swir2130")
"""What indices ask for; MODIS bands 3, 4, 1, 2, 5, 6 and 7. Numbers are wavelengths in nm."""

SENSORS = ("sentinel-2", "landsat-8-9", "modis")

_ALIASES = {
    "nir08": "nir",
    "swir1": "swir1640",
    "swir2": "swir2130",
    "swir16": "swir1640",
    "swir22": "swir2130",
}


@dataclass(frozen=True)
class Sensor:
    """A family of products with the same bands.

    Parameters
    ----------
    name, title : str
        As the parameter and as messages call it.
    pattern : re.Pattern
        Finds the band in a band description or a file name; its first group that matched is the
        key of `bands`, without leading zeros.
    bands : mapping of str to (role, rank)
        What each band shows; of two bands of one role the lower rank is used.
    scale, offset : float
        Reflectance = stored whole number × scale + offset.
    fills : tuple of float
        Stored numbers that mean missing where the file declares no nodata.
    """

    name: str
    title: str
    pattern: re.Pattern[str]
    bands: Mapping[str, tuple[str, int]]
    scale: float
    offset: float
    fills: tuple[float, ...]

    def role_of(self, names: Iterable[str]) -> tuple[str, int] | None:
        """Return role and rank of a band, from the first of its names that tells; else None."""
        for name in names:
            plain = _plain_role(name)
            if plain:
                return plain, 0
            keys = {_key_of(found) for found in self.pattern.finditer(name)}
            if len(keys) == 1:
                return self.bands.get(keys.pop())
        return None

    @property
    def roles(self) -> tuple[str, ...]:
        """What its bands show."""
        there = {role for role, _ in self.bands.values()}
        return tuple(role for role in ROLES if role in there)


# A letter, a digit or nothing that belongs to a name may stand beside the band.
_NUMBERED = r"(?<![A-Za-z0-9])(?:SR_)?B(?:0?([1-9])|(1[0-2]|8A))(?![A-Za-z0-9])"

SENTINEL_2 = Sensor(
    "sentinel-2",
    "Sentinel-2",
    re.compile(_NUMBERED, re.IGNORECASE),
    {
        "2": ("blue", 0),
        "3": ("green", 0),
        "4": ("red", 0),
        "8": ("nir", 0),
        "8A": ("nir", 1),
        "11": ("swir1640", 0),
        "12": ("swir2130", 0),
    },
    0.0001,
    0.0,  # −0.1 since processing baseline 04.00: see reflectance_scaling
    (0.0,),
)
LANDSAT_8_9 = Sensor(
    "landsat-8-9",
    "Landsat 8/9",
    re.compile(_NUMBERED, re.IGNORECASE),
    {
        "2": ("blue", 0),
        "3": ("green", 0),
        "4": ("red", 0),
        "5": ("nir", 0),
        "6": ("swir1640", 0),
        "7": ("swir2130", 0),
    },
    0.0000275,
    -0.2,
    (0.0,),
)
MODIS = Sensor(
    "modis",
    "MODIS",
    re.compile(r"sur_refl_b0?([1-7])(?!\d)|Nadir_Reflectance_Band([1-7])(?!\d)", re.IGNORECASE),
    {
        "1": ("red", 0),
        "2": ("nir", 0),
        "3": ("blue", 0),
        "4": ("green", 0),
        "5": ("swir1240", 0),
        "6": ("swir1640", 0),
        "7": ("swir2130", 0),
    },
    0.0001,
    0.0,
    (-28672.0, 32767.0),
)
_BY_NAME = {sensor.name: sensor for sensor in (SENTINEL_2, LANDSAT_8_9, MODIS)}

_SIGNS = {
    "sentinel-2": re.compile(
        r"(?<![A-Za-z0-9])(?:(?i:S2[ABC]?_|SENTINEL-?2)|MSIL[12][AC]|T\d{2}[A-Z]{3}_\d{8}T\d{6}"
        r"|HLS\.S30|(?:B8A|B12|SCL|QA60|MSK_CLDPRB)(?![A-Za-z0-9]))"
    ),
    "landsat-8-9": re.compile(
        r"(?<![A-Za-z0-9])(?:(?i:LANDSAT[-_]?[89])|L[CO]0[89]_|HLS\.L30"
        r"|(?:SR_B\d|SR_QA_AEROSOL|QA_PIXEL|ST_B10)(?![A-Za-z0-9]))"
    ),
    "modis": re.compile(
        r"sur_refl_|Nadir_Reflectance_Band|(?<![A-Za-z0-9])(?:M[OYC]D(?:09|43)|(?i:MODIS))"
    ),
}
_OTHER_LANDSAT = re.compile(r"(?<![A-Za-z0-9])L[TEM]0[1-7]_")
_LEVEL_1 = re.compile(r"(?<![A-Za-z0-9])L[A-Z]0[1-9]_L1[A-Z]{2}_")


def sensor_named(name: str) -> Sensor:
    """Return the sensor of a name among `SENSORS`."""
    if name not in _BY_NAME:
        raise InputError(f"The sensor '{name}' is unknown.", f"Use one of {', '.join(SENSORS)}.")
    return _BY_NAME[name]


def detect_sensor(names: Sequence[str], bands: Sequence[str] = ()) -> Sensor:
    """Tell the sensor from names of bands and files; `bands` are those a message lists.

    Bands that Sentinel-2 and Landsat share (B2 … B7) tell nothing; B8 without B5 is Sentinel-2.

    Raises
    ------
    InputError
        Where the names fit no sensor, or several.
    """
    found = [name for name, sign in _SIGNS.items() if any(map(sign.search, names))]
    if not found:
        keys = {_key_of(match) for name in names for match in SENTINEL_2.pattern.finditer(name)}
        if "8" in keys and "5" not in keys:
            found = ["sentinel-2"]
    if len(found) == 1:
        return _BY_NAME[found[0]]
    if found:
        titles = " and ".join(_BY_NAME[name].title for name in found)
        raise InputError(
            f"The rasters are of several sensors: {titles}.",
            "Run each sensor by itself, or choose SENSOR if the names mislead.",
        )
    raise InputError(
        f"The bands {shown(bands or names)} do not tell the sensor.",
        f"Choose SENSOR ({', '.join(SENSORS)}); bands with other names are mapped by BANDS, "
        "for example red=B4;nir=B8.",
    )


def refuse_other_products(sensor: Sensor, names: Sequence[str]) -> None:
    """Raise for files whose band numbers or stored numbers mean something else.

    Raises
    ------
    InputError
        For Landsat 1–7 and for Landsat Level-1.
    """
    if sensor is not LANDSAT_8_9:
        return
    for name in names:
        if _OTHER_LANDSAT.search(name):
            raise InputError(
                f"'{name}' is of an older Landsat, whose bands are numbered differently.",
                "Landsat 5 and 7: map its bands by BANDS, blue=B1;green=B2;red=B3;nir=B4;"
                "swir1640=B5;swir2130=B7.",
            )
        if _LEVEL_1.search(name):
            raise InputError(
                f"'{name}' is Level-1: numbers of the sensor, not surface reflectance.",
                "Download Level-2 (L2SP, bands SR_B2 to SR_B7).",
            )


def parse_bands(text: str) -> dict[str, str]:
    """Read ``red=B4;nir=B8``, a mapping of roles to band names.

    Raises
    ------
    InputError
        For a part that is no pair and for an unknown role.
    """
    mapping: dict[str, str] = {}
    for part in text.replace("\n", ";").split(";"):
        if not part.strip():
            continue
        left, sign, name = (piece.strip() for piece in part.partition("="))
        role = _plain_role(left)
        if not sign or not name or role is None:
            raise InputError(
                f"BANDS: '{part.strip()}' is not 'role=band'.",
                f"Write for example red=B4;nir=B8; the roles are {', '.join(ROLES)}.",
            )
        mapping[role] = name
    return mapping


def bears_name(names: Iterable[str], wanted: str) -> bool:
    """Whether a band bears a name: one of its names is it, or holds it between separators."""
    inside = re.compile(rf"(?<![A-Za-z0-9]){re.escape(wanted)}(?![A-Za-z0-9])", re.IGNORECASE)
    return any(inside.search(name) for name in names)


def shown(names: Sequence[str], most: int = 12) -> str:
    """Return names as a list for a message, cut after `most`."""
    unique = list(dict.fromkeys(names))
    text = ", ".join(unique[:most])
    return f"{text} and {len(unique) - most} more" if len(unique) > most else text


def _plain_role(name: str) -> str | None:
    lower = name.strip().lower()
    return lower if lower in ROLES else _ALIASES.get(lower)


def _key_of(found: re.Match[str]) -> str:
    return next(group for group in found.groups() if group).upper()
