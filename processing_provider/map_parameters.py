"""Parameters of maps: model, covariates, grid, mask, quantiles, fallback and days."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingParameterCrs,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from ..plugin.core.errors import InputError
from ..plugin.core.progress import Progress
from . import layers
from .extent_parameter import ExtentParameter
from .parameters import ModelParameter, csv_file, decimal, model_file
from .translation import tr

if TYPE_CHECKING:
    from ..plugin.core.covariates.table import CovariateTable
    from ..plugin.core.models.record import Model
    from ..plugin.core.rasters.grids import Grid

DEFAULT_QUANTILES = "0.05;0.5;0.95"


@dataclass(frozen=True, eq=False)
class MapRequest:
    """What a map is made of beside its day."""

    model: Model
    fallback: Model | None
    table: CovariateTable
    grid: Grid
    mask: list[dict[str, Any]] | None
    quantiles: tuple[float, ...]


class MapParameters(ExtentParameter, ModelParameter):
    """Model, covariates, grid, mask, quantiles and fallback of a map."""

    def declare_model_and_covariates(self) -> None:
        """Add model and covariate table."""
        self.declare_model()
        self.add(csv_file("COVARIATES", tr("Covariate table")))

    def declare_grid(self) -> None:
        """Add where the map lies and what it holds."""
        self.declare_place()
        self.add(
            QgsProcessingParameterString("QUANTILES", tr("Quantiles"), DEFAULT_QUANTILES),
            advanced=True,
        )
        self.add(model_file("FALLBACK", tr("Fallback model"), optional=True), advanced=True)

    def declare_place(self) -> None:
        """Add where the map lies."""
        self.declare_cells(tr("Grid (raster whose cells the map takes)"))
        self.add(
            QgsProcessingParameterFeatureSource(
                "MASK",
                tr("Mask (polygons to map)"),
                [Qgis.ProcessingSourceType.VectorPolygon],
                None,
                True,
            )
        )

    def declare_cells(self, label: str) -> None:
        """Add whose cells are taken; `label` is that of GRID."""
        self.add(QgsProcessingParameterRasterLayer("GRID", label, None, True))
        self.declare_extent()
        self.add(decimal("RESOLUTION", tr("Cell size (CRS units)"), None, 0.0, optional=True))
        self.add(
            QgsProcessingParameterCrs("CRS", tr("Coordinate system"), None, True), advanced=True
        )

    def read_map(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> MapRequest:
        """Read everything a map needs beside its day."""
        from ..plugin.core.covariates.table import read_table

        quantiles = read_quantiles(self.parameterAsString(parameters, "QUANTILES", context))
        grid = self.read_grid(parameters, context)
        progress.info(f"Grid: {grid.describe()}.")
        mask = self.polygons(parameters, "MASK", grid.crs, context, progress)
        return MapRequest(
            model=self.read_model(parameters, context),
            fallback=self.read_model(parameters, context, "FALLBACK"),
            table=read_table(self.file(parameters, "COVARIATES", context)),
            grid=grid,
            mask=mask,
            quantiles=quantiles,
        )

    def read_grid(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Grid:
        """Return the cells of the map.

        Raises
        ------
        InputError
            When neither GRID nor EXTENT is given, or what excludes each other.
        """
        if self.given(parameters, "GRID"):
            return self._grid_of_raster(parameters, context)
        if self._extent is None:
            raise InputError(
                "Neither GRID nor EXTENT is given.",
                "Choose a raster as GRID, or an EXTENT and a RESOLUTION.",
            )
        if not self.given(parameters, "RESOLUTION"):
            raise InputError(
                "EXTENT is given without RESOLUTION.", "Give the cell size in CRS units."
            )
        from ..plugin.core.rasters.grids import Grid

        if self.given(parameters, "CRS"):
            crs = layers.wkt_of(self.parameterAsCrs(parameters, "CRS", context))
            if not crs:
                raise InputError(
                    f"CRS: '{parameters['CRS']}' is not a known coordinate system.",
                    "Name one as in EPSG:32633.",
                )
            box = self._extent.within(crs)
        else:
            box, crs = self._extent.with_system(
                "Add it, as in 0,100,0,100 [EPSG:32633], or give CRS."
            )
        resolution = self.parameterAsDouble(parameters, "RESOLUTION", context)
        return Grid.from_extent(box, resolution, crs)

    def _grid_of_raster(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Grid:
        refused = [name for name in ("RESOLUTION", "CRS") if self.given(parameters, name)]
        if refused:
            raise InputError(
                f"{' and '.join(refused)} cannot be given beside GRID.",
                "Leave GRID or them empty: with GRID, EXTENT alone cuts its cells.",
            )
        from ..plugin.core.rasters.reading import geometry

        grid = geometry(self.rasters("GRID")[0].path)
        return grid if self._extent is None else grid.cut(self._extent.within(grid.crs))


def read_quantiles(text: str) -> tuple[float, ...]:
    """Return the levels of a text, ascending.

    Examples
    --------
    >>> read_quantiles("0.95; 0.5,0.05")
    (0.05, 0.5, 0.95)
    """
    levels = set()
    for part in re.split(r"[;,]", text):
        if not part.strip():
            continue
        try:
            level = float(part)
        except ValueError:
            level = -1.0
        if not 0.0 < level < 1.0:
            raise InputError(
                f"QUANTILES: '{part.strip()}' is not a number between 0 and 1.",
                f"Give levels joined by semicolons, such as {DEFAULT_QUANTILES}.",
            )
        levels.add(level)
    return tuple(sorted(levels))


def read_dates(text: str) -> list[datetime.date]:
    """Return the days of a text of ISO dates joined by semicolons, ascending, each once."""
    days = set()
    for part in re.split(r"[;,\s]+", text.strip()):
        if not part:
            continue
        try:
            days.add(datetime.date.fromisoformat(part))
        except ValueError as error:
            raise InputError(
                f"DATES: '{part}' is not a date.",
                "Give days as YYYY-MM-DD, joined by semicolons.",
            ) from error
    return sorted(days)
