"""Which cells a product's own quality band calls cloud, shadow, cirrus, snow or water."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterable, Mapping, Sequence

import numpy as np

from ...errors import InputError, RasterError

CLASSES = ("cloud", "shadow", "cirrus", "snow", "water")
DROPPED = CLASSES[:4]
_UNUSABLE = "unusable"  # fill and failed cells, always dropped


@dataclass(frozen=True)
class Field:
    """Some bits of a quality number and the values of them that mean a class."""

    shift: int
    width: int
    values: tuple[int, ...]

    def marks(self, raw: np.ndarray) -> np.ndarray:
        """Return where the bits hold one of the values."""
        bits = (raw >> self.shift) & ((1 << self.width) - 1)
        return np.asarray(np.isin(bits, self.values))


@dataclass(frozen=True)
class MaskKind:
    """A quality band: how it is called and where each class is written.

    Parameters
    ----------
    name : str
        As messages call it.
    pattern : re.Pattern
        Finds it in a band description or a file name.
    classes : mapping of str to tuple of Field
        A cell belongs to a class where one of the fields marks it.
    automatic : bool
        Whether it is used without being named.
    """

    name: str
    pattern: re.Pattern[str]
    classes: Mapping[str, tuple[Field, ...]]
    automatic: bool = True


def _named(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])", re.IGNORECASE)


def _bit(*positions: int) -> tuple[Field, ...]:
    return tuple(Field(position, 1, (1,)) for position in positions)


def _codes(*values: int) -> tuple[Field, ...]:
    return (Field(0, 8, values),)


SCL = MaskKind(
    "scene classification of Sentinel-2 (SCL)",
    _named("SCL"),
    {
        _UNUSABLE: _codes(0, 1),
        "cloud": _codes(8, 9),
        "shadow": _codes(3),
        "cirrus": _codes(10),
        "snow": _codes(11),
        "water": _codes(6),
    },
)
QA_PIXEL = MaskKind(
    "pixel quality of Landsat Collection 2 (QA_PIXEL)",
    _named("QA_PIXEL"),
    {
        _UNUSABLE: _bit(0),
        "cloud": _bit(1, 3),  # dilated cloud, cloud
        "shadow": _bit(4),
        "cirrus": _bit(2),
        "snow": _bit(5),
        "water": _bit(7),
    },
)
MODIS_STATE = MaskKind(
    "state flags of MODIS surface reflectance",
    re.compile(r"state_(?:1km|500m|250m)|StateQA", re.IGNORECASE),
    {
        # 3, "not set", counts as clear
        "cloud": (Field(0, 2, (1, 2)), *_bit(10)),
        "shadow": _bit(2),
        "cirrus": (Field(8, 2, (1, 2, 3)),),
        "snow": _bit(12, 15),
        # all but land, shores and ephemeral water
        "water": (Field(3, 3, (0, 3, 5, 6, 7)),),
    },
)
FMASK = MaskKind(
    "Fmask of harmonized Landsat and Sentinel-2 (HLS)",
    _named("Fmask"),
    {
        _UNUSABLE: _codes(255),
        "cloud": _bit(1, 2),  # cloud, beside cloud or shadow
        "shadow": _bit(3),
        "cirrus": _bit(0),
        "snow": _bit(4),
        "water": _bit(5),
    },
)
QA60 = MaskKind(
    "cloud mask of Sentinel-2 (QA60)",
    _named("QA60"),
    {"cloud": _bit(10), "cirrus": _bit(11)},
)
MODLAND_QA = MaskKind(
    "band quality of MODIS surface reflectance",
    re.compile(r"^QA$|QC_500m", re.IGNORECASE),
    {_UNUSABLE: (Field(0, 2, (3,)),), "cloud": (Field(0, 2, (2,)),)},
    automatic=False,
)
BRDF_QUALITY = MaskKind(
    "band quality of MODIS nadir reflectance",
    re.compile(r"BRDF_Albedo_Band_Mandatory_Quality", re.IGNORECASE),
    {_UNUSABLE: (Field(0, 8, tuple(range(2, 256))),)},
    automatic=False,
)
KINDS = (SCL, QA_PIXEL, MODIS_STATE, FMASK, QA60, MODLAND_QA, BRDF_QUALITY)
"""Sources: ESA, Sentinel-2 Products Specification (SCL, QA60); USGS LSDS-1619, Landsat 8–9
Collection 2 Level 2 Science Product Guide (QA_PIXEL); MODIS Surface Reflectance User's Guide,
Collection 6 (state and quality flags); HLS Product User Guide v2.0 (Fmask); MCD43 User Guide,
Collection 6.1."""


@dataclass(frozen=True)
class MaskRule:
    """How a mask band is read: by its kind, or by a list of values that are clear."""

    kind: MaskKind | None
    dropped: tuple[str, ...] = DROPPED
    clear: tuple[tuple[float, float], ...] = ()

    def marks(self, values: np.ndarray, label: str = "the mask band") -> np.ndarray:
        """Return which cells are dropped.

        Parameters
        ----------
        values : float array
            The band as stored; NaN (missing) is dropped.
        label : str
            What messages call the band.

        Raises
        ------
        RasterError
            For numbers that are no whole ones: a mask that was resampled or scaled.
        """
        missing = ~np.isfinite(values)
        if self.clear:
            inside = np.zeros(values.shape, dtype=bool)
            for low, high in self.clear:
                inside |= (values >= low) & (values <= high)
            return ~inside
        raw = _whole(values, missing, label)
        dropped = missing.copy()
        for name, fields in (self.kind.classes if self.kind else {}).items():
            if name == _UNUSABLE or name in self.dropped:
                for field in fields:
                    dropped |= field.marks(raw)
        return dropped


def kind_of(names: Iterable[str]) -> MaskKind | None:
    """Return the kind of a quality band by its names; None for other bands."""
    for name in names:
        for kind in KINDS:
            if kind.pattern.search(name):
                return kind
    return None


def parse_clear_values(text: str) -> tuple[tuple[float, float], ...]:
    """Read ``4;5;6;20-40``: values and ranges, both ends included.

    Raises
    ------
    InputError
        For a part that is neither.
    """
    ranges = []
    for part in text.replace(",", ";").split(";"):
        if not part.strip():
            continue
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:-\s*(\d+(?:\.\d+)?))?\s*", part)
        low, high = (float(found[1]), float(found[2] or found[1])) if found else (1.0, 0.0)
        if high < low:
            raise InputError(
                f"CLEAR_VALUES: '{part.strip()}' is neither a value nor a range.",
                "Write for example 4;5;6 or 0-40.",
            )
        ranges.append((low, high))
    return tuple(ranges)


def check_classes(names: Sequence[str]) -> tuple[str, ...]:
    """Return the classes to drop, or raise `InputError` for an unknown one."""
    for name in names:
        if name not in CLASSES:
            raise InputError(
                f"The class '{name}' cannot be dropped.", f"Choose from {', '.join(CLASSES)}."
            )
    return tuple(names)


def _whole(values: np.ndarray, missing: np.ndarray, label: str) -> np.ndarray:
    known = np.where(missing, 0.0, values)
    raw = known.astype(np.int64)
    if (raw != known).any() or (raw < 0).any():
        odd = known[(raw != known) | (raw < 0)][0]
        raise RasterError(
            f"{label} holds {odd:g}, which is no quality number: it was resampled or scaled.",
            "Export the mask band unchanged, or set CLOUD_BAND to none.",
        )
    return raw
