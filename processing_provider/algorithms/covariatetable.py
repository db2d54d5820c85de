"""The table that says which band of which file is which covariate on which day."""

from __future__ import annotations

from functools import partial
from typing import Any

from qgis.core import Qgis, QgsProcessingContext, QgsProcessingParameterMultipleLayers

from ...plugin.core.dependencies import require
from ...plugin.core.errors import InputError
from ...plugin.core.progress import Progress, RecordingProgress
from ..base import SoilMoistureAlgorithm
from ..parameters import CSV_FILTER, HTML_FILTER, choice, csv_file, file_output, line, whole
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
        self.add(whole("PERIOD", tr("Days a dated raster holds for"), 1, 1, 366), advanced=True)
        self.add(file_output("OUTPUT", tr("Covariate table"), CSV_FILTER, optional=False))
        self.add(file_output("REPORT", tr("Report"), HTML_FILTER, by_default=True))

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.covariates.table import (
            list_covariates,
            parse_groups,
            read_table,
            write_table,
        )

        static, dynamic = self.rasters("STATIC"), self.rasters("DYNAMIC")
        extended = self.file(parameters, "APPEND_TO", context)
        if not static and not dynamic:
            raise InputError(
                "Neither STATIC nor DYNAMIC holds a raster.", "Choose the rasters of the table."
            )
        output = self.destination(parameters, "OUTPUT", context)
        heard = RecordingProgress(progress)
        listing = list_covariates(
            static,
            dynamic,
            append_to=read_table(extended) if extended else None,
            tolerance_days=self.parameterAsInt(parameters, "TOLERANCE", context),
            resampling=self.parameterAsEnumString(parameters, "RESAMPLING", context),
            groups=parse_groups(self.parameterAsString(parameters, "GROUPS", context)),
            period_days=self.parameterAsInt(parameters, "PERIOD", context),
            folder=output.absolute().parent,
            progress=heard.part(0.0, 0.5),
        )
        report = self._report(parameters, context, listing, output.name, heard)
        write_table(listing.table, output)
        heard.report(1)
        return {"OUTPUT": str(output), **report}

    def _report(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        listing: Any,
        name: str,
        heard: RecordingProgress,
    ) -> dict[str, str]:
        """Write the report where it is wanted; return the output by name."""
        if self.destination(parameters, "REPORT", context) is None:
            return {}
        require("matplotlib")
        from ...plugin.core.covariates.inventory import take_inventory
        from ...plugin.core.evaluation.reports.covariate_report import covariate_report

        inventory = take_inventory(listing.table, listing.rasters, progress=heard.part(0.5, 1.0))
        write = partial(covariate_report, inventory, name=name, warnings=heard.warnings)
        return self.save(parameters, "REPORT", context, write)
