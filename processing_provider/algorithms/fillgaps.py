"""Daily series of rasters."""

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
from ..parameters import choice, date, read_date, whole
from ..translation import tr

METHODS = ("mean", "carry-forward")


class FillGaps(SoilMoistureAlgorithm):
    """Dated rasters with gaps → a raster a day, and flags of what was filled."""

    ID = "fillgaps"
    TITLE = "Fill gaps in series"
    GROUP = "covariates"
    TAGS = "time series,moving average,interpolation,composite,daily,smap,missing days"

    def declare(self) -> None:
        self.add(
            QgsProcessingParameterMultipleLayers(
                "INPUT", tr("Dated rasters"), Qgis.ProcessingSourceType.Raster
            )
        )
        self.add(whole("WINDOW", tr("Window (days)"), 3, 0))
        self.add(choice("METHOD", tr("Method"), METHODS, "mean"))
        self.add(date("START", tr("First day"), optional=True))
        self.add(date("END", tr("Last day"), optional=True))
        self.add(QgsProcessingParameterFolderDestination("OUTPUT", tr("Folder of the series")))
        self.add_output(QgsProcessingOutputMultipleLayers("LAYERS", tr("Rasters in date order")))

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.covariates.timeseries.gaps import fill_gaps

        folder = self.destination(parameters, "OUTPUT", context)
        layers = fill_gaps(
            self.rasters("INPUT"),
            folder,
            window=self.parameterAsInt(parameters, "WINDOW", context),
            method=self.parameterAsEnumString(parameters, "METHOD", context),
            start=read_date(self, parameters, "START", context),
            end=read_date(self, parameters, "END", context),
            threads=self.threads(context),
            progress=progress,
        )
        return {"OUTPUT": str(folder), "LAYERS": [str(path) for path in layers]}
