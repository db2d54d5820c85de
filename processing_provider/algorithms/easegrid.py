"""Rasters on the EASE-Grid 2.0."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingOutputMultipleLayers,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
)

from ...plugin.core.progress import Progress
from ..base import SoilMoistureAlgorithm
from ..extent_parameter import ExtentParameter
from ..parameters import choice, decimal, switch
from ..translation import tr

CELLS = ("36km", "25km", "9km", "3km", "2.25km")
MODES = ("aggregate", "snap")


class EaseGridAlgorithm(ExtentParameter, SoilMoistureAlgorithm):
    """Rasters of any grid → the cells of an EASE-Grid 2.0."""

    ID = "easegrid"
    TITLE = "Aggregate to EASE-Grid"
    GROUP = "covariates"
    TAGS = "ease-grid,smap,coarse,aggregate,average,snap,equal area,land cover fractions,EPSG:6933"

    def declare(self) -> None:
        self.add(
            QgsProcessingParameterMultipleLayers(
                "INPUT", tr("Rasters"), Qgis.ProcessingSourceType.Raster
            )
        )
        self.add(choice("CELL", tr("Cells of the grid"), CELLS, "9km"))
        self.add(choice("MODE", tr("Mode"), MODES, "aggregate"))
        self.add(switch("CLASSES", tr("Classes: write the share of each"), False))
        self.declare_extent()
        self.add(
            decimal("MIN_VALID", tr("Smallest share of a cell with values"), 0.5, 0.0, 1.0),
            advanced=True,
        )
        self.add(QgsProcessingParameterFolderDestination("OUTPUT", tr("Folder of the rasters")))
        self.add_output(QgsProcessingOutputMultipleLayers("LAYERS", tr("Rasters in order of date")))

    def collect(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        self.collect_extent(parameters, context)

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.covariates.coarse_products.ease import to_ease_grid

        folder = self.destination(parameters, "OUTPUT", context)
        paths = to_ease_grid(
            self.rasters("INPUT"),
            self.parameterAsEnumString(parameters, "CELL", context),
            folder,
            mode=self.parameterAsEnumString(parameters, "MODE", context),
            classes=self.parameterAsBoolean(parameters, "CLASSES", context),
            extent=self.read_extent(),
            minimum_share=self.parameterAsDouble(parameters, "MIN_VALID", context),
            progress=progress,
        )
        return {"OUTPUT": str(folder), "LAYERS": [str(path) for path in paths]}
