"""Rasters whose cells are known to be EASE-Grid 2.0 cells, whatever georeference they carry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from affine import Affine

from ..errors import RasterError
from .easegrid import EaseGrid
from .grids import Window, crs_text
from .names import covariate_name, date_in_description, date_in_name, date_in_tag, is_nameless
from .paths import check_local_path
from .reading import RasterReader, open_raster


@dataclass(frozen=True)
class PlainBand:
    """A band's index (from 1), covariate name, day (None without one) and unit."""

    index: int
    name: str
    date: date | None
    units: str


@dataclass(frozen=True)
class PlainRaster:
    """A raster as its file describes it; `crs` is None where it has none."""

    path: Path
    width: int
    height: int
    transform: Affine
    crs: str | None
    bands: tuple[PlainBand, ...]

    def window_in(self, ease: EaseGrid) -> Window:
        """Return the cells of the grid that are those of the raster.

        Raises
        ------
        RasterError
            Where they do not fit; names the file.
        """
        try:
            return ease.fit(self.width, self.height, self.transform, self.crs)
        except RasterError as error:
            raise RasterError(f"'{self.path.name}': {error.cause}", error.cure) from error


def describe_plain(path: str | Path, fallback_date: date | None = None) -> PlainRaster:
    """Read size, georeference and bands of a raster that may lack a coordinate reference system.

    Raises
    ------
    RasterError
        Where the file cannot be read, or has several bands and one without name.
    """
    local = check_local_path(path)
    with RasterReader(local) as reader, open_raster(local) as dataset:
        named = date_in_name(local.stem)[0]
        day = named or date_in_tag(dataset.tags().get("TIFFTAG_DATETIME")) or fallback_date
        bands = tuple(_band(dataset, index, local, day) for index in reader.bands)
        nameless = [i for i in reader.bands if is_nameless(dataset.descriptions[i - 1])]
        if len(bands) > 1 and nameless:
            raise RasterError(
                f"The raster '{local}' has {len(bands)} bands, of which "
                f"{', '.join(map(str, nameless))} have no name.",
                "Give each band a description (in QGIS: Set layer band names).",
            )
        crs = crs_text(dataset.crs) if dataset.crs else None
        return PlainRaster(local, dataset.width, dataset.height, dataset.transform, crs, bands)


def _band(dataset: Any, index: int, path: Path, day: date | None) -> PlainBand:
    description = dataset.descriptions[index - 1]
    own = date_in_description(description)
    name = covariate_name(description, path.stem)
    return PlainBand(index, name, own or day, dataset.units[index - 1] or "")
