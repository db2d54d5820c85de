"""Model + readings of a few local stations → model of the field."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext

from ...plugin.core.progress import Progress
from ..base import SoilMoistureAlgorithm
from ..parameters import (
    CSV_FILTER,
    HTML_FILTER,
    MODEL_FILTER,
    ModelParameter,
    SeedParameter,
    TableParameters,
    decimal,
    file_output,
    switch,
)
from ..translation import tr


class SpikeModel(TableParameters, ModelParameter, SeedParameter, SoilMoistureAlgorithm):
    """Refits a model with local rows, and says what that brought."""

    ID = "spikemodel"
    TITLE = "Spike model"
    GROUP = "models"
    TAGS = "local,field,transfer,calibration,adapt,probes"
    PACKAGES = ("numpy", "scipy", "rasterio", "sklearn", "joblib", "matplotlib")

    def declare(self) -> None:
        self.declare_model()
        self.declare_table(tr("Local training table"), from_model=True)
        self.declare_groups()
        self.add(
            decimal("WEIGHT", tr("Weight of a local row (0 = automatic)"), 0.0, 0.0),
            advanced=True,
        )
        self.add(
            switch("ALLOW_DEPTH_MISMATCH", tr("Accept readings from another depth"), False),
            advanced=True,
        )
        self.add(switch("EMBED_TRAINING", tr("Keep the training rows"), True), advanced=True)
        self.declare_seed()
        self.add(file_output("OUTPUT", tr("Spiked model"), MODEL_FILTER, optional=False))
        self.add(file_output("REPORT", tr("Report"), HTML_FILTER, by_default=True))
        self.add(file_output("METRICS", tr("Metrics"), CSV_FILTER))

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        raise NotImplementedError
