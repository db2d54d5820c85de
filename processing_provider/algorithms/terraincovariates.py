"""Terrain covariates from a DEM."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingParameterBand,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from ...plugin.core.progress import Progress
from ..base import SoilMoistureAlgorithm
from ..parameters import choice, decimal
from ..translation import tr

METHODS = ("zevenbergen-thorne", "evans", "horn")
TERRAIN_PARAMETERS = (
    "elevation",
    "slope",
    "aspect",
    "aspect_sin",
    "aspect_cos",
    "profile_curvature",
    "plan_curvature",
    "tangential_curvature",
    "mean_curvature",
    "roughness",
    "elevation_range",
    "twi",
)


class TerrainCovariates(SoilMoistureAlgorithm):
    """DEM → raster of terrain covariates."""

    ID = "terraincovariates"
    TITLE = "Terrain covariates"
    GROUP = "covariates"
    TAGS = "dem,elevation,slope,aspect,curvature,roughness,twi,wetness index,relief"

    def declare(self) -> None:
        self.add(QgsProcessingParameterRasterLayer("INPUT", tr("Digital elevation model")))
        self.add(QgsProcessingParameterBand("BAND", tr("Band"), 1, "INPUT"), advanced=True)
        self.add(
            choice("METHOD", tr("Quadratic surface"), METHODS, "zevenbergen-thorne"),
            advanced=True,
        )
        self.add(
            choice(
                "PARAMETERS",
                tr("Covariates"),
                TERRAIN_PARAMETERS,
                list(TERRAIN_PARAMETERS),
                several=True,
            )
        )
        self.add(decimal("SMOOTHING", tr("Smoothing (cells)"), 0.0, 0.0), advanced=True)
        self.add(QgsProcessingParameterRasterDestination("OUTPUT", tr("Terrain covariates")))

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.covariates.relief.terrain import terrain_covariates

        output = self.raster_destination(parameters, "OUTPUT", context)
        terrain_covariates(
            self.rasters("INPUT")[0].path,
            self.parameterAsInt(parameters, "BAND", context),
            output,
            method=self.parameterAsEnumString(parameters, "METHOD", context),
            parameters=self.parameterAsEnumStrings(parameters, "PARAMETERS", context),
            smoothing=self.parameterAsDouble(parameters, "SMOOTHING", context),
            threads=self.threads(context),
            progress=progress,
        )
        return {"OUTPUT": str(output)}
