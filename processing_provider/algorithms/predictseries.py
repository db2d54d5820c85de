"""Maps of many days."""

from __future__ import annotations

import datetime
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputMultipleLayers,
    QgsProcessingParameterFolderDestination,
)

from ...plugin.core.errors import InputError
from ...plugin.core.progress import Progress
from ..base import SoilMoistureAlgorithm
from ..map_parameters import MapParameters, read_dates
from ..parameters import (
    CSV_FILTER,
    date,
    file_output,
    line,
    read_date,
    whole,
)
from ..translation import tr

_LONGEST = 36_600


class PredictSeries(MapParameters, SoilMoistureAlgorithm):
    """Model + covariates → a map a day and a summary of all."""

    ID = "predictseries"
    TITLE = "Predict series of maps"
    GROUP = "maps"
    TAGS = "time series,daily maps,raster,batch,prediction interval"
    PACKAGES = ("numpy", "scipy", "rasterio", "sklearn", "joblib")

    def declare(self) -> None:
        self.declare_model_and_covariates()
        self.add(date("START", tr("First day"), optional=True))
        self.add(date("END", tr("Last day"), optional=True))
        self.add(whole("STEP", tr("Step (days)"), 1, 1))
        self.add(line("DATES", tr("Single days instead (YYYY-MM-DD;…)")), advanced=True)
        self.declare_grid()
        self.add(QgsProcessingParameterFolderDestination("OUTPUT", tr("Folder of the maps")))
        self.add(file_output("SUMMARY", tr("Summary"), CSV_FILTER))
        self.add_output(QgsProcessingOutputMultipleLayers("LAYERS", tr("Maps in order of date")))

    def collect(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        self.collect_extent(parameters, context)

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.mapping.prediction import predict_series

        days = self._read_days(parameters, context)
        request = self.read_map(parameters, context, progress)
        folder = self.destination(parameters, "OUTPUT", context)
        summary = self.destination(parameters, "SUMMARY", context)
        layers = predict_series(
            request.model,
            request.table,
            days,
            request.grid,
            mask=request.mask,
            quantiles=request.quantiles,
            fallback=request.fallback,
            folder=folder,
            summary_output=summary,
            threads=self.threads(context),
            progress=progress,
        )
        outputs = {"OUTPUT": str(folder), "LAYERS": [str(path) for path in layers]}
        return {**outputs, "SUMMARY": str(summary)} if summary else outputs

    def _read_days(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> list[datetime.date]:
        from ...plugin.core.covariates.table import days_between

        listed = read_dates(self.text(parameters, "DATES", context) or "")
        start = read_date(self, parameters, "START", context)
        end = read_date(self, parameters, "END", context)
        if listed:
            if start or end:
                raise InputError("DATES is given beside START or END.", "Give one or the other.")
            return listed
        if start is None or end is None:
            raise InputError("No days are given.", "Give START and END, or DATES.")
        days = days_between(start, end, self.parameterAsInt(parameters, "STEP", context))
        if len(days) > _LONGEST:
            raise InputError(f"These are {len(days)} maps.", "Choose a shorter period.")
        return days
