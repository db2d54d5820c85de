"""SMAP level-3 soil moisture (SPL3SMP, 36 km; SPL3SMP_E, 9 km) as NSIDC ships it in HDF5.

Each half of the day has a group of arrays of the whole EASE-Grid 2.0. Where a cell lies follows
from its row and column and the grid's definition; what the file says of places is not used.

References
----------
O'Neill et al., SMAP L3 Radiometer Global Daily 36 km EASE-Grid Soil Moisture, user guide,
doi:10.5067/4XXOGX0OOW1S; enhanced, 9 km: doi:10.5067/M20OXIZHY3RJ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import RasterError
from ...rasters.containers import (
    HDF5,
    array_names,
    has_array,
    open_array,
    open_container,
    read_values,
)
from ...rasters.easegrid import EaseGrid, ease_grid, ease_grid_of_shape
from ...rasters.grids import Window
from ...rasters.names import date_in_name

PASSES = ("average", "am", "pm")
QUALITIES = ("recommended", "all")
PRODUCTS = {"smap-l3-36km": "36km", "smap-l3-9km": "9km"}
_GROUPS = {
    "am": ("Soil_Moisture_Retrieval_Data_AM", ""),
    "pm": ("Soil_Moisture_Retrieval_Data_PM", "_pm"),
}
_NOT_RECOMMENDED = 1  # bit 0 of the retrieval quality flag
_NAME = re.compile(r"SMAP_L3_SM_P_(?:E_)?(\d{8})_[A-Z](\d{5})_(\d{3})", re.IGNORECASE)
_BEGIN = "Metadata_Extent_rangeBeginningDateTime"


@dataclass(frozen=True)
class SmapFile:
    """A file of one day.

    `passes` are those it holds ("am", "pm"), `flagged` those of them with a quality flag.
    `release` is its processing release and its count (R18290_001 → (18290, 1)); (-1, -1) where
    the name does not tell.
    """

    path: Path
    day: date
    ease: EaseGrid
    passes: tuple[str, ...]
    flagged: tuple[str, ...]
    release: tuple[int, int]


@dataclass
class RetrievalCounts:
    """How many retrievals there were, and how many were left out for their quality."""

    retrieved: int = 0
    rejected: int = 0

    def add(self, other: RetrievalCounts) -> None:
        """Add those of another file."""
        self.retrieved += other.retrieved
        self.rejected += other.rejected


def smap_day(path: Path) -> tuple[date | None, tuple[int, int]]:
    """Return the day and the release in a file's name, as far as it tells."""
    found = _NAME.search(path.name)
    day = date_in_name(found[1] if found else path.stem)[0]
    return day, (int(found[2]), int(found[3])) if found else (-1, -1)


def describe_smap(path: str | Path) -> SmapFile:
    """Read what a SMAP level-3 file holds.

    Raises
    ------
    RasterError
        For files that are damaged, no SMAP level-3 product, not of a whole grid or without a day.
    """
    local = Path(path).absolute()
    with open_container(local, HDF5) as container:
        names = array_names(container)
        begin = container.tags().get(_BEGIN, "")
    if not names:
        only = [_array("soil_moisture", one) for one in _GROUPS]
        names = [array for array in only if has_array(local, HDF5, array)]
    passes = tuple(one for one in _GROUPS if _array("soil_moisture", one) in names)
    if not passes:
        groups = sorted({name.partition("/")[0] for name in names})
        raise RasterError(
            f"'{local.name}' is no SMAP level-3 soil moisture file: it has no array soil_moisture "
            f"in {' or '.join(group for group, _ in _GROUPS.values())}. It has "
            f"{', '.join(groups[:8]) or 'no arrays'}.",
            "Download SPL3SMP (36 km) or SPL3SMP_E (9 km) from NSIDC, version 4 or later.",
        )
    day, release = smap_day(local)
    day = day or date_in_name(begin[:10])[0]
    if day is None:
        raise RasterError(
            f"Neither name nor metadata of '{local.name}' tell its day.",
            "Give it back its name, such as SMAP_L3_SM_P_20210401_R18290_001.h5.",
        )
    flagged = tuple(one for one in passes if _array("retrieval_qual_flag", one) in names)
    return SmapFile(local, day, _grid_of(local, passes), passes, flagged, release)


def _grid_of(path: Path, passes: tuple[str, ...]) -> EaseGrid:
    shapes = set()
    for one in passes:
        with open_array(path, HDF5, _array("soil_moisture", one)) as dataset:
            shapes.add((dataset.height, dataset.width))
    ease = ease_grid_of_shape(*next(iter(shapes)))
    if len(shapes) > 1 or ease is None or ease.name not in PRODUCTS.values():
        sizes = " and ".join(f"{rows} × {columns}" for rows, columns in sorted(shapes))
        known = ", ".join(
            f"{grid.rows} × {grid.columns} ({grid.name})"
            for grid in map(ease_grid, PRODUCTS.values())
        )
        raise RasterError(
            f"The arrays of '{path.name}' have {sizes} cells: not a whole global grid, which has "
            f"{known}.",
            "Download the file without cutting it (no subset), and not the polar one.",
        )
    return ease


class SmapReader:
    """Reads the moisture of a file, block by block; a context manager made by `open_smap`."""

    def __init__(self, arrays: dict[str, dict[str, Any]], quality: str) -> None:
        self._arrays = arrays
        self._quality = quality

    def read(self, window: Window) -> tuple[np.ndarray, RetrievalCounts]:
        """Return the mean of the passes there are, m³ m⁻³, NaN where there is none, and counts."""
        counts = RetrievalCounts()
        passes = []
        for arrays in self._arrays.values():
            values = read_values(arrays["soil_moisture"], [1], window)[0]
            there = np.isfinite(values)
            counts.retrieved += int(there.sum())
            if self._quality == "recommended":
                flags = read_values(arrays["retrieval_qual_flag"], [1], window)[0]
                kept = np.isfinite(flags)
                kept[kept] = (flags[kept].astype(np.int64) & _NOT_RECOMMENDED) == 0
                counts.rejected += int((there & ~kept).sum())
                values[~kept] = np.nan
            passes.append(values)
        return _mean(passes), counts


@contextmanager
def open_smap(file: SmapFile, which: str, quality: str) -> Iterator[SmapReader]:
    """Open the arrays of a file that are needed.

    Parameters
    ----------
    file : SmapFile
    which : {"average", "am", "pm"}
    quality : {"recommended", "all"}
        Retrievals whose quality is recommended (bit 0 of the flag is 0), or all there are.

    Raises
    ------
    RasterError
        Where the file has no such pass, or no quality flag.
    """
    wanted = file.passes if which == "average" else (which,)
    needed = ["soil_moisture"] + ["retrieval_qual_flag"] * (quality == "recommended")
    if quality == "recommended" and not set(wanted) <= set(file.flagged):
        raise RasterError(
            f"'{file.path.name}' has no quality flag (retrieval_qual_flag).",
            "Use QUALITY all to take every retrieval.",
        )
    with ExitStack() as stack:
        arrays: dict[str, dict[str, Any]] = {}
        for one in wanted:
            arrays[one] = {
                name: stack.enter_context(open_array(file.path, HDF5, _array(name, one)))
                for name in needed
            }
        yield SmapReader(arrays, quality)


def _array(name: str, which: str) -> str:
    """Return the full name of an array of a pass."""
    group, suffix = _GROUPS[which]
    return f"{group}/{name}{suffix}"


def _mean(passes: list[np.ndarray]) -> np.ndarray:
    stack = np.stack(passes)
    count = np.isfinite(stack).sum(axis=0)
    return np.where(count, np.nansum(stack, axis=0) / np.maximum(count, 1), np.nan)
