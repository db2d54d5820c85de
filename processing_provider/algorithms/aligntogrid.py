"""Rasters on the cells of one grid."""

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
from ..map_parameters import MapParameters
from ..parameters import choice, line
from ..translation import tr

RESAMPLINGS = ("auto", "average", "bilinear", "nearest", "mode", "cubic")


class AlignToGrid(MapParameters, SoilMoistureAlgorithm):
    """Rasters of any grid → rasters with the cells of one grid."""

    ID = "aligntogrid"
    TITLE = "Align to grid"
    GROUP = "covariates"
    TAGS = "resample,warp,snap,reproject,average,majority,stack,co-register"

    def declare(self) -> None:
        self.add(
            QgsProcessingParameterMultipleLayers(
                "INPUT", tr("Rasters"), Qgis.ProcessingSourceType.Raster
            )
        )
        self.declare_cells(tr("Grid (raster whose cells are taken)"))
        self.add(choice("RESAMPLING", tr("Resampling"), RESAMPLINGS, "auto"))
        self.add(line("CATEGORICAL", tr("Bands with classes (names or patterns joined by ;)")))
        self.add(QgsProcessingParameterFolderDestination("OUTPUT", tr("Folder of the rasters")))
        self.add_output(QgsProcessingOutputMultipleLayers("LAYERS", tr("Rasters in date order")))

    def collect(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        self.collect_extent(parameters, context)

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.covariates.gridding.alignment import align_rasters

        grid = self.read_grid(parameters, context)
        progress.info(f"Grid: {grid.describe()}.")
        folder = self.destination(parameters, "OUTPUT", context)
        layers = align_rasters(
            self.rasters("INPUT"),
            grid,
            folder,
            resampling=self.parameterAsEnumString(parameters, "RESAMPLING", context),
            categorical=self.fields(parameters, "CATEGORICAL", context),
            progress=progress,
        )
        return {"OUTPUT": str(folder), "LAYERS": [str(path) for path in layers]}
