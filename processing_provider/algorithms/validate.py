"""How good a model is on rows it has not seen."""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis, QgsProcessingContext, QgsProcessingParameterFeatureSink

from ...plugin.core.progress import Progress
from ..base import SoilMoistureAlgorithm
from ..parameters import (
    CSV_FILTER,
    HTML_FILTER,
    ModelParameter,
    TableParameters,
    field,
    file_output,
    line,
)
from ..translation import tr


class Validate(TableParameters, ModelParameter, SoilMoistureAlgorithm):
    """Model + training table → report, metrics and residuals."""

    ID = "validate"
    TITLE = "Validate model"
    GROUP = "models"
    TAGS = "accuracy,rmse,ubrmse,r2,bias,residuals,metrics,coverage,baseline"
    PACKAGES = ("numpy", "scipy", "rasterio", "sklearn", "joblib", "matplotlib")

    def declare(self) -> None:
        self.declare_model()
        self.declare_table(tr("Training table"), from_model=True)
        self.declare_groups()
        self.add(line("ROLE", tr("Role of the rows"), "validate"))
        self.add(
            field("BASELINE", tr("Baseline field"), numeric=True, optional=True), advanced=True
        )
        self.add(file_output("REPORT", tr("Report"), HTML_FILTER, by_default=True))
        self.add(file_output("METRICS", tr("Metrics"), CSV_FILTER))
        self.add(
            QgsProcessingParameterFeatureSink(
                "RESIDUALS",
                tr("Residuals"),
                Qgis.ProcessingSourceType.VectorPoint,
                None,
                True,
                False,
            )
        )

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        raise NotImplementedError
