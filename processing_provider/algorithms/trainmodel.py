"""Training table → model."""

from __future__ import annotations

from functools import partial
from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingOutputNumber

from ...plugin.core.progress import Progress, RecordingProgress
from ..base import SoilMoistureAlgorithm
from ..parameters import (
    CSV_FILTER,
    HTML_FILTER,
    MODEL_FILTER,
    SeedParameter,
    TableParameters,
    choice,
    csv_file,
    decimal,
    field,
    file_output,
    switch,
    whole,
)
from ..translation import tr

METHODS = ("qrf", "rf")


class TrainModel(TableParameters, SeedParameter, SoilMoistureAlgorithm):
    """Trains, judges on stations that were left out, calibrates and writes a model."""

    ID = "trainmodel"
    TITLE = "Train model"
    GROUP = "models"
    TAGS = "quantile random forest,machine learning,regression,calibration,cross-validation"
    PACKAGES = ("numpy", "scipy", "rasterio", "sklearn", "joblib", "matplotlib")

    def declare(self) -> None:
        self.declare_table(tr("Training table"))
        self.add(field("COVARIATES", tr("Covariates"), several=True, optional=True))
        self.declare_groups()
        self.add(
            csv_file("COVARIATE_TABLE", tr("Covariate table (units and groups)"), optional=True),
            advanced=True,
        )
        self.add(
            field("WEIGHT_FIELD", tr("Weight field"), numeric=True, optional=True), advanced=True
        )
        self.add(choice("METHOD", tr("Method"), METHODS, "qrf"))
        self.add(whole("TREES", tr("Trees"), 50, 1, 10_000), advanced=True)
        self.add(whole("MIN_LEAF", tr("Smallest leaf (rows)"), 10, 1), advanced=True)
        self.add(
            decimal("MAX_FEATURES", tr("Share of covariates tried a split"), 0.333, 0.0, 1.0),
            advanced=True,
        )
        self.add(switch("TUNE", tr("Tune trees and smallest leaf"), False), advanced=True)
        self.add(whole("FOLDS", tr("Station folds"), 5, 2), advanced=True)
        self.add(switch("CALIBRATE", tr("Calibrate the intervals"), True), advanced=True)
        self.add(switch("EMBED_TRAINING", tr("Keep the training rows"), True), advanced=True)
        self.declare_seed()
        self.add(file_output("OUTPUT", tr("Model"), MODEL_FILTER, optional=False))
        self.add(file_output("REPORT", tr("Report"), HTML_FILTER, by_default=True))
        self.add(file_output("METRICS", tr("Metrics"), CSV_FILTER))
        self.add_output(QgsProcessingOutputNumber("RMSE", tr("RMSE (m³ m⁻³)")))
        self.add_output(QgsProcessingOutputNumber("R2", tr("R²")))

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from dataclasses import replace

        from ...plugin.core.evaluation.metrics import find_row, write_metrics
        from ...plugin.core.evaluation.reports.score_texts import score_texts
        from ...plugin.core.evaluation.reports.training_report import training_report
        from ...plugin.core.evaluation.result_metrics import training_metrics
        from ...plugin.core.models.modelfile import save_model
        from ...plugin.core.models.training import train_model

        heard = RecordingProgress(progress)
        rows, settings = self._read_input(parameters, context, heard)
        result = train_model(rows, settings, heard.part(0.1, 0.8))
        metrics = training_metrics(result)
        for text in score_texts(metrics, {"model": "Stations not seen"}):
            heard.info(text)
        result = replace(result, model=replace(result.model, metrics=tuple(metrics)))
        embed = self.parameterAsBoolean(parameters, "EMBED_TRAINING", context)
        last = heard.part(0.8, 1.0)
        report = partial(training_report, result, warnings=heard.warnings, progress=last)
        model_file = partial(save_model, result.model, embed_training=embed)
        outputs = {
            **self.save(parameters, "REPORT", context, report),
            **self.save(parameters, "METRICS", context, partial(write_metrics, metrics)),
            **self.save(parameters, "OUTPUT", context, model_file),
        }
        overall = find_row(metrics, "overall", "model") or {}
        numbers = {"RMSE": overall.get("rmse"), "R2": overall.get("r2")}
        known = {name: value for name, value in numbers.items() if value is not None}
        return {**outputs, **known}

    def _read_input(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> tuple[Any, Any]:
        """Return training rows and settings."""
        from ...plugin.core.models.heldout import ForestSettings
        from ...plugin.core.models.training import TrainSettings
        from ...plugin.core.stations.constant_covariates import without_constant
        from ...plugin.core.stations.covariate_fields import warn_of_unlisted
        from ...plugin.core.stations.rows import training_rows

        source = self.table(parameters, "INPUT", context, progress.part(0.0, 0.1))
        fields = self.read_fields(parameters, context)
        rows = training_rows(
            source.table,
            target=fields.target,
            station=fields.station,
            covariates=self.fields(parameters, "COVARIATES", context),
            groups=fields.groups,
            weight_field=self.text(parameters, "WEIGHT_FIELD", context),
            roles=("train",),
            exclude_fields=source.keys.primary_key,
            text_numbers=source.keys.from_csv,
            progress=progress,
        )
        rows, _ = without_constant(rows, progress)
        forest = ForestSettings(
            method=self.parameterAsEnumString(parameters, "METHOD", context),
            trees=self.parameterAsInt(parameters, "TREES", context),
            min_leaf=self.parameterAsInt(parameters, "MIN_LEAF", context),
            max_features=self.parameterAsDouble(parameters, "MAX_FEATURES", context),
            seed=self.read_seed(parameters, context),
            threads=self.threads(context),
        )
        inputs = {"table": source.name}
        known: dict[str, tuple[str, str]] = {}
        described = self.file(parameters, "COVARIATE_TABLE", context)
        if described:
            from ...plugin.core.covariates.table import read_table

            known = {row.covariate: (row.group, row.units) for row in read_table(described).rows}
            inputs["covariate_table"] = described.name
            warn_of_unlisted(rows.covariates, known, progress)
        return rows, TrainSettings(
            forest=forest,
            tune=self.parameterAsBoolean(parameters, "TUNE", context),
            folds=self.parameterAsInt(parameters, "FOLDS", context),
            calibrate=self.parameterAsBoolean(parameters, "CALIBRATE", context),
            target=fields.target,
            station_field=fields.station,
            class_fields=fields.groups,
            covariate_info=known,
            inputs=inputs,
        )
