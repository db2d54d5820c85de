"""Rasters of classes: codes with names and colours that stay with the file."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Sequence

from ..errors import RasterError
from ..rasters.grids import Grid
from ..rasters.reading import open_raster
from ..rasters.styles import paletted_style
from ..rasters.writing import BYTE_NODATA, RasterWriter, write_text

if TYPE_CHECKING:
    from .table_file import CovariateTable

CLASS_TABLES = Path(__file__).resolve().parents[3] / "resources" / "classes"
CLASS_UNIT = "class"
MISSING_CODE = BYTE_NODATA
_NAMES_TAG = "CLASS_NAMES"
_PALETTE = "palette"


@dataclass(frozen=True)
class RasterClass:
    """A class of a raster: its code (0–254), name and colour (``#rrggbb``)."""

    code: int
    name: str
    colour: str


class ClassWriter(RasterWriter):
    """A byte raster of one band of classes, with names and colours.

    Missing is 255. The names lie in the file (band metadata, colour table), in the ``.qml`` style
    and in the ``.aux.xml`` beside it, where GDAL and QGIS find categories and an attribute table.

    Parameters
    ----------
    path : str or Path
        Must end in ``.tif``.
    grid : Grid
    name : str
        Band description.
    classes : sequence of RasterClass
    """

    def __init__(
        self, path: str | Path, grid: Grid, name: str, classes: Sequence[RasterClass]
    ) -> None:
        legend = [(one.code, one.name, one.colour) for one in classes]
        super().__init__(
            path, grid, [name], dtype="uint8", style=paletted_style(legend), units=[CLASS_UNIT]
        )
        self.classes = tuple(classes)

    def _create(self, temporary: Path) -> Any:
        dataset = super()._create(temporary)
        names = ";".join(f"{one.code}={one.name}" for one in self.classes)
        dataset.update_tags(1, **{_NAMES_TAG: names})
        dataset.write_colormap(1, {one.code: (*_rgb(one.colour), 255) for one in self.classes})
        return dataset

    def _write_style(self) -> None:
        super()._write_style()
        write_text(_categories(self.classes), self.path.with_name(self.path.name + ".aux.xml"))


def read_classes(table: str) -> tuple[RasterClass, ...]:
    """Return the classes in a table of ``resources/classes``."""
    with (CLASS_TABLES / table).open(encoding="utf-8", newline="") as file:
        return tuple(
            RasterClass(int(row["code"]), row["name"], row["colour"])
            for row in csv.DictReader(file)
        )


def class_names(path: str | Path, band: int = 1) -> dict[int, str]:
    """Return the names of a band's classes by code; empty where the band holds no names.

    Raises
    ------
    RasterError
        Where the file cannot be read or has no such band.
    """
    with open_raster(path) as dataset:
        _check_band(dataset, path, band)
        text = dataset.tags(band).get(_NAMES_TAG, "")
    names = {}
    for part in text.split(";"):
        code, sign, name = part.partition("=")
        if sign and code.strip().isdigit():
            names[int(code)] = name.strip()
    return names


def holds_classes(path: str | Path, band: int = 1) -> bool:
    """Whether a band holds classes: it has class names, or a colour for each value."""
    with open_raster(path) as dataset:
        _check_band(dataset, path, band)
        colours = dataset.colorinterp[band - 1].name
        return _NAMES_TAG in dataset.tags(band) or colours == _PALETTE


def table_class_names(table: CovariateTable) -> dict[str, dict[int, str]]:
    """Return code and name of the classes of each covariate whose first raster holds names.

    So that a field sampled from a raster of classes can be shown, or written, in words.
    """
    found = {}
    for name in table.names:
        row = table.rows_of(name)[0]
        names = class_names(table.path_of(row), row.band)
        if names:
            found[name] = names
    return found


def _check_band(dataset: Any, path: str | Path, band: int) -> None:
    if not 1 <= band <= dataset.count:
        raise RasterError(
            f"The raster '{path}' has no band {band}.", f"It has {dataset.count}; choose one."
        )


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _categories(classes: Sequence[RasterClass]) -> str:
    """Return GDAL's sidecar with category names and a raster attribute table."""
    by_code = {one.code: one.name for one in classes}
    last = max(by_code, default=0)
    names = "".join(
        f"<Category>{escape(by_code.get(code, ''))}</Category>" for code in range(last + 1)
    )
    # name, type (0 whole number, 2 text) and usage of the columns, as GDAL numbers them
    columns = (("Value", 0, 5), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8))
    fields = "".join(
        f'<FieldDefn index="{index}"><Name>{name}</Name><Type>{kind}</Type>'
        f"<Usage>{usage}</Usage></FieldDefn>"
        for index, (name, kind, usage) in enumerate(columns)
    )
    rows = "".join(
        f'<Row index="{index}">'
        + "".join(f"<F>{escape(str(cell))}</F>" for cell in (one.code, one.name, *_rgb(one.colour)))
        + "</Row>"
        for index, one in enumerate(classes)
    )
    return (
        f'<PAMDataset>\n  <PAMRasterBand band="1">\n    <CategoryNames>{names}</CategoryNames>\n'
        f'    <GDALRasterAttributeTable tableType="thematic">{fields}{rows}'
        "</GDALRasterAttributeTable>\n  </PAMRasterBand>\n</PAMDataset>\n"
    )
