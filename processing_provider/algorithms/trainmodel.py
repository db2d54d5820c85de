"""Training table → model."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingOutputNumber

from ...plugin.core.progress import Progress
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
        raise NotImplementedError
