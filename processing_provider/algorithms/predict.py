"""Map of one day."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputNumber,
    QgsProcessingParameterRasterDestination,
)

from ...plugin.core.progress import Progress
from ..base import SoilMoistureAlgorithm
from ..map_parameters import MapParameters
from ..parameters import date, read_date
from ..translation import tr


class Predict(MapParameters, SoilMoistureAlgorithm):
    """Model + covariates → map of mean, standard deviation and quantiles."""

    ID = "predict"
    TITLE = "Predict map"
    GROUP = "maps"
    TAGS = "map,raster,prediction interval,quantile,soil water"
    PACKAGES = ("numpy", "scipy", "rasterio", "sklearn", "joblib")

    def declare(self) -> None:
        self.declare_model_and_covariates()
        self.add(date("DATE", tr("Day")))
        self.declare_grid()
        self.add(QgsProcessingParameterRasterDestination("OUTPUT", tr("Soil moisture")))
        self.add(
            QgsProcessingParameterRasterDestination(
                "REASON", tr("Why cells are empty"), None, True, False
            )
        )
        self.add_output(QgsProcessingOutputNumber("COVERAGE", tr("Share of cells with a value")))

    def collect(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        self.collect_extent(parameters, context)

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.mapping.prediction import predict_map

        request = self.read_map(parameters, context, progress)
        output = self.raster_destination(parameters, "OUTPUT", context)
        reason = self.raster_destination(parameters, "REASON", context)
        summary = predict_map(
            request.model,
            request.table,
            read_date(self, parameters, "DATE", context),
            request.grid,
            mask=request.mask,
            quantiles=request.quantiles,
            fallback=request.fallback,
            output=output,
            reason_output=reason,
            threads=self.threads(context),
            progress=progress,
        )
        outputs = {"OUTPUT": str(output), "COVERAGE": summary.coverage}
        return {**outputs, "REASON": str(reason)} if reason else outputs
