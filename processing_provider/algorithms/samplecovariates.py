"""Covariates at the stations on the days of their readings."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from qgis.core import Qgis, QgsProcessingContext, QgsProcessingParameterFeatureSink

from ...plugin.core.dependencies import require
from ...plugin.core.errors import InputError
from ...plugin.core.progress import Progress, RecordingProgress
from ..base import SoilMoistureAlgorithm
from ..parameters import HTML_FILTER, choice, csv_file, decimal, field, file_output, line, rows
from ..translation import tr

if TYPE_CHECKING:
    from ...plugin.core.stations.sampling.matching_rain import RainRule

METHODS = ("table", "nearest", "bilinear")


class SampleCovariates(SoilMoistureAlgorithm):
    """Observation layer + covariate table → training table."""

    ID = "samplecovariates"
    TITLE = "Sample covariates"
    GROUP = "stations"
    TAGS = "extract,matching,training table,points,raster values,rain,precipitation"

    def declare(self) -> None:
        self.add(rows("INPUT", tr("Observations"), points=True))
        self.add(field("DATE_FIELD", tr("Date field"), "date"))
        self.add(csv_file("COVARIATES", tr("Covariate table")))
        self.add(choice("METHOD", tr("Reading between cells"), METHODS, "table"), advanced=True)
        self.add(line("RAIN", tr("Covariate with the rain of each day")), advanced=True)
        self.add(decimal("RAIN_MAX", tr("Most rain in between (mm)"), 2.0, 0.0), advanced=True)
        self.add(line("RAIN_GROUPS", tr("Groups or covariates that rain spoils")), advanced=True)
        points = Qgis.ProcessingSourceType.VectorPoint
        self.add(QgsProcessingParameterFeatureSink("OUTPUT", tr("Training table"), points))
        self.add(
            QgsProcessingParameterFeatureSink(
                "UNMATCHED", tr("Unmatched rows"), points, None, True, False
            )
        )
        self.add(file_output("REPORT", tr("Report"), HTML_FILTER, by_default=True))

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.covariates.table import read_table
        from ...plugin.core.stations.sampling.matching import match_covariates

        with_report = self.destination(parameters, "REPORT", context) is not None
        if with_report:
            require("matplotlib")
        heard = RecordingProgress(progress)
        source = self.table(parameters, "INPUT", context, heard.part(0.0, 0.1))
        match = match_covariates(
            source.table,
            read_table(self.file(parameters, "COVARIATES", context)),
            date_field=self.text(parameters, "DATE_FIELD", context) or "date",
            method=self.parameterAsEnumString(parameters, "METHOD", context),
            rain=self._rain(parameters, context),
            threads=self.threads(context),
            progress=heard.part(0.1, 0.9),
        )
        last = heard.part(0.9, 1.0)
        outputs: dict[str, Any] = {}
        if with_report:
            from ...plugin.core.evaluation.reports.match_report import match_report

            write = partial(match_report, match.facts, name=source.name, warnings=heard.warnings)
            outputs.update(self.save(parameters, "REPORT", context, write))
        write_rows = partial(self.write, types=source.types, progress=last)
        if match.problem is not None:
            with ExitStack() as self._outputs:  # so that what failed can be looked at
                write_rows(parameters, "UNMATCHED", context, match.unmatched)
            raise self._with_places(match.problem, parameters)
        outputs.update(write_rows(parameters, "OUTPUT", context, match.matched))
        outputs.update(write_rows(parameters, "UNMATCHED", context, match.unmatched))
        return outputs

    def _rain(self, parameters: dict[str, Any], context: QgsProcessingContext) -> RainRule | None:
        from ...plugin.core.stations.sampling.matching_rain import RainRule

        covariate = self.text(parameters, "RAIN", context)
        only = (self.text(parameters, "RAIN_GROUPS", context) or "").split(";")
        if covariate is None:
            if any(one.strip() for one in only):
                raise InputError("RAIN_GROUPS is given without RAIN.", "Name the rain in RAIN.")
            return None
        most = self.parameterAsDouble(parameters, "RAIN_MAX", context)
        return RainRule(covariate, most, tuple(one.strip() for one in only if one.strip()))

    def _with_places(self, problem: InputError, parameters: dict[str, Any]) -> InputError:
        """Return the error with a word on where the reasons are written."""
        written = [n for n in ("UNMATCHED", "REPORT") if self.given(parameters, n)]
        if not written:
            return problem
        return InputError(problem.cause, f"{problem.cure} Reasons are in {' and '.join(written)}.")
