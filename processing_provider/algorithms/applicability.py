"""Where a model applies."""

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
from ..parameters import choice, date, read_date
from ..translation import tr

RULES = ("fence", "whisker")


class Applicability(MapParameters, SoilMoistureAlgorithm):
    """Model + covariates → dissimilarity, inside or outside, local point density."""

    ID = "applicability"
    TITLE = "Area of applicability"
    GROUP = "maps"
    TAGS = "aoa,dissimilarity index,local point density,extrapolation,reliability,expected error"
    PACKAGES = ("numpy", "scipy", "rasterio", "sklearn", "joblib")

    def declare(self) -> None:
        self.declare_model_and_covariates()
        self.add(date("DATE", tr("Day")))
        self.declare_place()
        self.add(choice("THRESHOLD_RULE", tr("Threshold rule"), RULES, "fence"), advanced=True)
        self.add(QgsProcessingParameterRasterDestination("OUTPUT", tr("Area of applicability")))
        self.add(
            QgsProcessingParameterRasterDestination(
                "EXPECTED_ERROR", tr("Expected error"), None, True, False
            )
        )
        self.add_output(QgsProcessingOutputNumber("THRESHOLD", tr("Threshold of dissimilarity")))
        self.add_output(QgsProcessingOutputNumber("INSIDE", tr("Share of cells inside")))
        self.add_output(QgsProcessingOutputNumber("COVERAGE", tr("Share of cells with a value")))

    def collect(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        self.collect_extent(parameters, context)

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.covariates.table import read_table
        from ...plugin.core.evaluation.expected_error import held_out_errors
        from ...plugin.core.mapping.applicability import map_applicability, model_applicability

        grid = self.read_grid(parameters, context)
        progress.info(f"Grid: {grid.describe()}.")
        mask = self.polygons(parameters, "MASK", grid.crs, context, progress)
        model = self.read_model(parameters, context)
        table = read_table(self.file(parameters, "COVARIATES", context))
        output = self.raster_destination(parameters, "OUTPUT", context)
        error_output = self.raster_destination(parameters, "EXPECTED_ERROR", context)
        threads = self.threads(context)
        held = held_out_errors(model, threads=threads, progress=progress.part(0.0, 0.25))
        applicability = model_applicability(
            model,
            held.fold,
            held.weight,
            rule=self.parameterAsEnumString(parameters, "THRESHOLD_RULE", context),
            squares=held.squares if error_output else None,
            progress=progress.part(0.25, 0.3),
        )
        summary = map_applicability(
            model,
            applicability,
            table,
            read_date(self, parameters, "DATE", context),
            grid,
            mask=mask,
            output=output,
            error_output=error_output,
            threads=threads,
            progress=progress.part(0.3, 1.0),
        )
        outputs = {
            "OUTPUT": str(output),
            "THRESHOLD": summary.threshold,
            "INSIDE": summary.inside,
            "COVERAGE": summary.coverage,
        }
        return {**outputs, "EXPECTED_ERROR": str(error_output)} if error_output else outputs
