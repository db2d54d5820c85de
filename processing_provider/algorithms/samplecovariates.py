"""Covariates at the stations on the days of their readings."""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis, QgsProcessingContext, QgsProcessingParameterFeatureSink

from ...plugin.core.progress import Progress
from ..base import SoilMoistureAlgorithm
from ..parameters import choice, csv_file, field, rows
from ..translation import tr

METHODS = ("table", "nearest", "bilinear")


class SampleCovariates(SoilMoistureAlgorithm):
    """Observation layer + covariate table → training table."""

    ID = "samplecovariates"
    TITLE = "Sample covariates"
    GROUP = "stations"
    TAGS = "extract,matching,training table,points,raster values"

    def declare(self) -> None:
        self.add(rows("INPUT", tr("Observations"), points=True))
        self.add(field("DATE_FIELD", tr("Date field"), "date"))
        self.add(csv_file("COVARIATES", tr("Covariate table")))
        self.add(choice("METHOD", tr("Reading between cells"), METHODS, "table"), advanced=True)
        points = Qgis.ProcessingSourceType.VectorPoint
        self.add(QgsProcessingParameterFeatureSink("OUTPUT", tr("Training table"), points))
        self.add(
            QgsProcessingParameterFeatureSink(
                "UNMATCHED", tr("Unmatched rows"), points, None, True, False
            )
        )

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.covariates.table import read_table
        from ...plugin.core.stations.matching import sample_covariates

        source = self.table(parameters, "INPUT", context, progress.part(0.0, 0.1))
        matched, unmatched = sample_covariates(
            source.table,
            read_table(self.file(parameters, "COVARIATES", context)),
            date_field=self.text(parameters, "DATE_FIELD", context) or "date",
            method=self.parameterAsEnumString(parameters, "METHOD", context),
            progress=progress.part(0.1, 0.9),
        )
        last = progress.part(0.9, 1.0)
        return {
            **self.write(parameters, "OUTPUT", context, matched, source.types, last),
            **self.write(parameters, "UNMATCHED", context, unmatched, source.types, last),
        }
