"""The table that says which band of which file is which covariate on which day."""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis, QgsProcessingContext, QgsProcessingParameterMultipleLayers

from ...plugin.core.errors import InputError
from ...plugin.core.progress import Progress
from ..base import SoilMoistureAlgorithm
from ..parameters import CSV_FILTER, choice, csv_file, file_output, line, whole
from ..translation import tr

RESAMPLING = ("nearest", "bilinear", "cubic", "average")


class CovariateTableAlgorithm(SoilMoistureAlgorithm):
    """Static and dated rasters → covariate table."""

    ID = "covariatetable"
    TITLE = "Covariate table"
    GROUP = "covariates"
    TAGS = "stack,bands,dates,names,resampling,catalogue"

    def declare(self) -> None:
        rasters = Qgis.ProcessingSourceType.Raster
        self.add(
            QgsProcessingParameterMultipleLayers(
                "STATIC", tr("Static rasters"), rasters, optional=True
            )
        )
        self.add(
            QgsProcessingParameterMultipleLayers(
                "DYNAMIC", tr("Dated rasters"), rasters, optional=True
            )
        )
        self.add(csv_file("APPEND_TO", tr("Table to extend"), optional=True), advanced=True)
        self.add(whole("TOLERANCE", tr("Tolerance (days)"), 6, 0))
        self.add(choice("RESAMPLING", tr("Resampling"), RESAMPLING, "bilinear"))
        self.add(line("GROUPS", tr("Groups (pattern=group)"), multiline=True), advanced=True)
        self.add(file_output("OUTPUT", tr("Covariate table"), CSV_FILTER, optional=False))

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.covariates.table import build_table, parse_groups, read_table

        static, dynamic = self.rasters("STATIC"), self.rasters("DYNAMIC")
        extended = self.file(parameters, "APPEND_TO", context)
        if not static and not dynamic:
            raise InputError(
                "Neither STATIC nor DYNAMIC holds a raster.", "Choose the rasters of the table."
            )
        output = self.destination(parameters, "OUTPUT", context)
        build_table(
            static,
            dynamic,
            append_to=read_table(extended) if extended else None,
            tolerance_days=self.parameterAsInt(parameters, "TOLERANCE", context),
            resampling=self.parameterAsEnumString(parameters, "RESAMPLING", context),
            groups=parse_groups(self.parameterAsString(parameters, "GROUPS", context)),
            output=output,
            progress=progress,
        )
        return {"OUTPUT": str(output)}
