"""Statistics of dated rasters over time."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterRasterDestination,
)

from ...plugin.core.progress import Progress
from ..base import SoilMoistureAlgorithm
from ..parameters import choice, line, whole
from ..translation import tr

STATISTICS = ("min", "mean", "max", "sd")
DIRECTIONS = ("separate", "pooled")


class TemporalStatistics(SoilMoistureAlgorithm):
    """Rasters of many days → their minimum, mean, maximum and standard deviation."""

    ID = "temporalstatistics"
    TITLE = "Temporal statistics"
    GROUP = "covariates"
    TAGS = "time series,minimum,mean,maximum,standard deviation,sentinel-1,backscatter"

    def declare(self) -> None:
        self.add(
            QgsProcessingParameterMultipleLayers(
                "INPUT", tr("Rasters"), Qgis.ProcessingSourceType.Raster
            )
        )
        self.add(choice("STATISTICS", tr("Statistics"), STATISTICS, list(STATISTICS), several=True))
        self.add(line("BANDS", tr("Bands (names or patterns joined by ;)")), advanced=True)
        self.add(
            choice(
                "DIRECTIONS",
                tr("Ascending and descending images"),
                DIRECTIONS,
                "separate",
            ),
            advanced=True,
        )
        self.add(whole("MIN_DATES", tr("Fewest dates a cell must have"), 10, 1), advanced=True)
        self.add(QgsProcessingParameterRasterDestination("OUTPUT", tr("Temporal statistics")))

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.covariates.timeseries.statistics import temporal_statistics

        output = self.raster_destination(parameters, "OUTPUT", context)
        temporal_statistics(
            self.rasters("INPUT"),
            self.parameterAsEnumStrings(parameters, "STATISTICS", context),
            output,
            bands=self.fields(parameters, "BANDS", context),
            directions=self.parameterAsEnumString(parameters, "DIRECTIONS", context),
            threads=self.threads(context),
            minimum_dates=self.parameterAsInt(parameters, "MIN_DATES", context),
            progress=progress,
        )
        return {"OUTPUT": str(output)}
