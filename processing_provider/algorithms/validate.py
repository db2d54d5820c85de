"""How good a model is on rows it has not seen."""

from __future__ import annotations

from functools import partial
from typing import Any

from qgis.core import Qgis, QgsProcessingContext, QgsProcessingParameterFeatureSink

from ...plugin.core.progress import Progress, RecordingProgress
from ..base import SoilMoistureAlgorithm
from ..parameters import (
    CSV_FILTER,
    HTML_FILTER,
    ModelTableParameters,
    field,
    file_output,
    line,
)
from ..translation import tr


class Validate(ModelTableParameters, SoilMoistureAlgorithm):
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
        from ...plugin.core.evaluation.metrics import write_metrics
        from ...plugin.core.evaluation.reports.score_texts import score_texts
        from ...plugin.core.evaluation.reports.validation_report import validation_report
        from ...plugin.core.evaluation.result_metrics import validation_metrics
        from ...plugin.core.evaluation.validation import residual_table, validate_model

        heard = RecordingProgress(progress)
        model = self.read_model(parameters, context)
        source = self.table(parameters, "INPUT", context, heard.part(0.0, 0.2))
        role = self.text(parameters, "ROLE", context)
        fields = self.fields_for(parameters, context, model, source.table, heard)
        rows = self.rows_for(model, source, fields, (role,) if role else None, heard)
        baseline = self.text(parameters, "BASELINE", context)
        result = validate_model(
            model,
            rows,
            baseline=source.table.numeric(baseline)[rows.row] if baseline else None,
            baseline_name=baseline or "baseline",
            progress=heard.part(0.2, 0.8),
        )
        metrics_rows = validation_metrics(result)
        for text in score_texts(metrics_rows, {"model": "Model", "baseline": result.baseline_name}):
            heard.info(text)
        report = partial(validation_report, result, warnings=heard.warnings)
        metrics = partial(write_metrics, metrics_rows)
        residuals = residual_table(result)
        last = heard.part(0.8, 1.0)
        return {
            **self.write(
                parameters, "RESIDUALS", context, residuals, source.types, last, "residual"
            ),
            **self.save(parameters, "REPORT", context, report),
            **self.save(parameters, "METRICS", context, metrics),
        }
