"""Model + readings of a few local stations → model of the field."""

from __future__ import annotations

from functools import partial
from typing import Any

from qgis.core import QgsProcessingContext

from ...plugin.core.progress import Progress, RecordingProgress
from ..base import SoilMoistureAlgorithm
from ..parameters import (
    CSV_FILTER,
    HTML_FILTER,
    MODEL_FILTER,
    ModelTableParameters,
    SeedParameter,
    choice,
    decimal,
    file_output,
    switch,
)
from ..translation import tr

METHODS = ("forest", "bias")


class SpikeModel(ModelTableParameters, SeedParameter, SoilMoistureAlgorithm):
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
        self.add(choice("METHOD", tr("Method"), METHODS, "forest"), advanced=True)
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
        from ...plugin.core.models.spiking import SpikeSettings

        heard = RecordingProgress(progress)
        model = self.read_model(parameters, context)
        method = self.parameterAsEnumString(parameters, "METHOD", context)
        _check_method(model, method)
        source = self.table(parameters, "INPUT", context, heard.part(0.0, 0.1))
        spikes, validation = self._read_rows(parameters, context, model, source, heard)
        settings = SpikeSettings(
            weight=self.parameterAsDouble(parameters, "WEIGHT", context),
            allow_depth_mismatch=self.parameterAsBoolean(
                parameters, "ALLOW_DEPTH_MISMATCH", context
            ),
            seed=self.read_seed(parameters, context),
            threads=self.threads(context),
            inputs={
                "model": self.file(parameters, "MODEL", context).name,
                "table": source.name,
            },
        )
        work = _correct if method == "bias" else _spike
        spiked, metrics, report = work(model, spikes, validation, settings, heard)
        return self._save(parameters, context, spiked, metrics, report)

    def _save(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        model: Any,
        metrics: list[dict[str, Any]],
        report: Any,
    ) -> dict[str, Any]:
        from dataclasses import replace

        from ...plugin.core.evaluation.metrics import write_metrics
        from ...plugin.core.models.modelfile import save_model

        model = replace(model, metrics=tuple(metrics))
        embed = self.parameterAsBoolean(parameters, "EMBED_TRAINING", context)
        model_file = partial(save_model, model, embed_training=embed)
        return {
            **self.save(parameters, "REPORT", context, report),
            **self.save(parameters, "METRICS", context, partial(write_metrics, metrics)),
            **self.save(parameters, "OUTPUT", context, model_file),
        }

    def _read_rows(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        model: Any,
        source: Any,
        progress: Progress,
    ) -> tuple[Any, Any]:
        """Return the rows that spike and those that judge, if there are any."""
        from ...plugin.core.stations.folds.splits_stations import tell_torn_places
        from ...plugin.core.stations.roles import VALIDATE, row_roles, spiking_roles

        fields = self.fields_for(parameters, context, model, source.table, progress)
        spikes = self.rows_for(
            model, source, fields, spiking_roles(source.table, progress), progress
        )
        if VALIDATE not in set(row_roles(source.table)):
            return spikes, None
        tell_torn_places(source.table, fields.station or "", "role", progress)
        return spikes, self.rows_for(model, source, fields, (VALIDATE,), progress)


def _check_method(model: Any, method: str) -> None:
    if method == "forest":
        model.require_rows(
            "it cannot be refitted with local ones",
            ", or set METHOD to bias: that corrects the bias of the model and needs none",
        )


def _spike(
    base: Any, spikes: Any, validation: Any, settings: Any, heard: RecordingProgress
) -> tuple[Any, list[dict[str, Any]], Any]:
    """Return the spiked model, its scores, and what writes its report."""
    from ...plugin.core.evaluation.reports.spiking_report import spiking_report
    from ...plugin.core.evaluation.reports.spiking_verdict import validation_text, verdict_text
    from ...plugin.core.evaluation.result_metrics import spiking_metrics
    from ...plugin.core.models.alternatives import compare_alternatives
    from ...plugin.core.models.spiking import spike_model

    result = spike_model(
        base, spikes, settings, validation=validation, progress=heard.part(0.1, 0.95)
    )
    alternatives: tuple[Any, ...] = ()
    if result.loso_before is not None:
        alternatives = compare_alternatives(
            result.loso_before,
            base.calibration,
            validation=result.validate_before,
            seed=settings.seed,
            threads=settings.threads,
            progress=heard.part(0.95, 1.0),
        )
    metrics = spiking_metrics(result)
    heard.info(f"A local row weighs {result.weight:.3g} times as much as a global one.")
    for text in [*verdict_text(result), validation_text(result, metrics)]:
        if text:
            heard.info(text)

    def report(path: Any) -> None:
        from dataclasses import replace

        scored = replace(result, model=replace(result.model, metrics=tuple(metrics)))
        spiking_report(scored, path, warnings=heard.warnings, alternatives=alternatives)

    return result.model, metrics, report


def _correct(
    base: Any, spikes: Any, validation: Any, settings: Any, heard: RecordingProgress
) -> tuple[Any, list[dict[str, Any]], Any]:
    """Return the corrected model, its scores, and what writes its report."""
    from ...plugin.core.evaluation.reports.alternatives_section_report import (
        correction_metrics,
        correction_report,
        correction_verdict,
    )
    from ...plugin.core.models.alternatives_model import correct_bias

    result = correct_bias(
        base, spikes, settings, validation=validation, progress=heard.part(0.1, 1.0)
    )
    for text in correction_verdict(result)[0]:
        heard.info(text)
    report = partial(correction_report, result, warnings=heard.warnings)
    return result.model, correction_metrics(result), report
