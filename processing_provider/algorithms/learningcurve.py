"""Model + local training table → skill against the number of spiking stations."""

from __future__ import annotations

from functools import partial
from typing import Any

from qgis.core import QgsProcessingContext

from ...plugin.core.progress import Progress, RecordingProgress
from ..base import SoilMoistureAlgorithm
from ..parameters import (
    CSV_FILTER,
    HTML_FILTER,
    ModelTableParameters,
    SeedParameter,
    TableFields,
    choice,
    decimal,
    field,
    file_output,
    line,
    switch,
    whole,
)
from ..translation import tr

DESIGNS = ("random", "stratified", "coverage", "lhs")


class LearningCurve(ModelTableParameters, SeedParameter, SoilMoistureAlgorithm):
    """Spikes a model with more and more stations and scores it at others."""

    ID = "learningcurve"
    TITLE = "Learning curve"
    GROUP = "models"
    TAGS = "how many probes,number of stations,spiking,sampling design,skill,enough"
    PACKAGES = ("numpy", "scipy", "rasterio", "sklearn", "joblib", "matplotlib")

    def declare(self) -> None:
        self.declare_model()
        self.declare_table(tr("Local training table"), from_model=True)
        self.add(line("COUNTS", tr("Numbers of spiking stations (0 = doubling)"), "1;2;4;8"))
        self.add(choice("DESIGNS", tr("Designs"), DESIGNS, ["random", "coverage"], several=True))
        self.add(field("STRATA", tr("Field of strata"), optional=True))
        self.add(whole("DRAWS", tr("Draws"), 15, 1))
        self.add(decimal("TEST_SHARE", tr("Share of the stations held out"), 0.4, 0.0, 1.0))
        self.add(
            decimal("TOLERANCE", tr("Tolerance of the error (percent)"), 5.0, 0.0), advanced=True
        )
        self.add(
            decimal("WEIGHT", tr("Weight of a local row (0 = automatic)"), 0.0, 0.0),
            advanced=True,
        )
        self.add(whole("TREES", tr("Trees (0 = the model's)"), 0, 0), advanced=True)
        self.add(
            switch("ALLOW_DEPTH_MISMATCH", tr("Accept readings from another depth"), False),
            advanced=True,
        )
        self.declare_seed()
        self.add(file_output("OUTPUT", tr("Scores"), CSV_FILTER, optional=False))
        self.add(file_output("REPORT", tr("Report"), HTML_FILTER, by_default=True))

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.evaluation.reports.learning_curve_report import learning_curve_report
        from ...plugin.core.models.learning_curve import learning_curve
        from ...plugin.core.models.learning_curve_scores import write_curve

        heard = RecordingProgress(progress)
        settings = self._settings(parameters, context)
        model = self.read_model(parameters, context)
        source = self.table(parameters, "INPUT", context, heard.part(0.0, 0.05))
        strata = self.text(parameters, "STRATA", context)
        fields = TableFields(
            self.text(parameters, "TARGET", context) or model.target,
            self.text(parameters, "STATION", context) or model.station_field,
            (strata,) if strata else (),
        )
        local = self.rows_for(model, source, fields, None, heard)
        curve = learning_curve(
            model,
            local,
            settings,
            strata=_strata_of(local, strata, heard) if strata else None,
            progress=heard.part(0.05, 1.0),
        )
        report = partial(
            learning_curve_report,
            curve,
            tolerance=self.parameterAsDouble(parameters, "TOLERANCE", context) / 100,
            warnings=heard.warnings,
        )
        return {
            **self.save(parameters, "REPORT", context, report),
            **self.save(parameters, "OUTPUT", context, partial(write_curve, curve.rows)),
        }

    def _settings(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Any:
        from ...plugin.core.models.learning_curve import CurveSettings, parse_counts

        return CurveSettings(
            counts=parse_counts(self.text(parameters, "COUNTS", context) or ""),
            designs=tuple(self.parameterAsEnumStrings(parameters, "DESIGNS", context)),
            draws=self.parameterAsInt(parameters, "DRAWS", context),
            test_share=self.parameterAsDouble(parameters, "TEST_SHARE", context),
            weight=self.parameterAsDouble(parameters, "WEIGHT", context),
            trees=self.parameterAsInt(parameters, "TREES", context),
            allow_depth_mismatch=self.parameterAsBoolean(
                parameters, "ALLOW_DEPTH_MISMATCH", context
            ),
            seed=self.read_seed(parameters, context),
            threads=self.threads(context),
        )


def _strata_of(local: Any, strata: str, progress: Progress) -> dict[str, str]:
    from ...plugin.core.stations.folds.splits_stations import station_strata
    from ...plugin.core.stations.table import Table

    table = Table({"station": local.station, strata: local.classes[strata]})
    return station_strata(table, "station", strata, progress)
