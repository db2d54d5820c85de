"""Which stations train and which validate."""

from __future__ import annotations

from functools import partial
from typing import Any

from qgis.core import Qgis, QgsProcessingContext, QgsProcessingParameterFeatureSink

from ...plugin.core.dependencies import require
from ...plugin.core.progress import Progress, RecordingProgress
from ..base import SoilMoistureAlgorithm
from ..domain import DomainParameter
from ..parameters import (
    HTML_FILTER,
    SeedParameter,
    choice,
    decimal,
    field,
    file_output,
    line,
    rows,
    whole,
)
from ..translation import tr

METHODS = ("random", "stratified", "leave-network-out", "years", "k-fold", "knndm")


class SplitStations(DomainParameter, SeedParameter, SoilMoistureAlgorithm):
    """Training table → the same with a role or a fold."""

    ID = "splitstations"
    TITLE = "Split stations"
    GROUP = "stations"
    TAGS = "training,validation,cross-validation,folds,holdout,kNNDM,spatial,distance"

    def declare(self) -> None:
        self.add(rows("INPUT", tr("Training table")))
        self.add(field("STATION", tr("Station field"), "station"))
        self.add(field("STRATA", tr("Field of strata"), "network", optional=True))
        self.add(choice("METHOD", tr("Method"), METHODS, "random"))
        self.add(decimal("FRACTION", tr("Share that validates"), 0.25, 0.0, 1.0))
        self.add(line("HOLD_OUT", tr("Networks or years that validate")))
        self.add(whole("FOLDS", tr("Folds"), 5, 2))
        self.declare_domain()
        self.declare_seed()
        self.add(
            QgsProcessingParameterFeatureSink(
                "OUTPUT", tr("Split table"), Qgis.ProcessingSourceType.Vector
            )
        )
        self.add(file_output("REPORT", tr("Report"), HTML_FILTER, by_default=True))

    def collect(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        self.collect_domain(parameters, context)

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.stations.folds.splits import split_stations
        from ...plugin.core.stations.roles import VALIDATE

        with_report = self.destination(parameters, "REPORT", context) is not None
        if with_report:
            require("matplotlib")
        heard = RecordingProgress(progress)
        source = self.table(parameters, "INPUT", context, heard.part(0.0, 0.3))
        seed = self.read_seed(parameters, context)
        station = self.text(parameters, "STATION", context) or "station"
        strata = self.text(parameters, "STRATA", context)
        method = self.parameterAsEnumString(parameters, "METHOD", context)
        domain = self.read_domain(parameters, context, seed, heard.part(0.3, 0.4))
        table = split_stations(
            source.table,
            station=station,
            strata=strata,
            method=method,
            fraction=self.parameterAsDouble(parameters, "FRACTION", context),
            hold_out=self.text(parameters, "HOLD_OUT", context) or "",
            folds=self.parameterAsInt(parameters, "FOLDS", context),
            seed=seed,
            domain=domain,
            progress=heard.part(0.4, 0.6),
        )
        last = heard.part(0.6, 0.9)
        style = "role" if VALIDATE in table.text("role") else "fold"
        outputs = self.write(parameters, "OUTPUT", context, table, source.types, last, style)
        if with_report:
            from ...plugin.core.evaluation.reports.folds_report import folds_report
            from ...plugin.core.stations.folds.splits_facts import split_facts

            facts = split_facts(table, station=station, strata=strata, domain=domain, seed=seed)
            write = partial(
                folds_report, facts, method=method, name=source.name, warnings=heard.warnings
            )
            outputs.update(self.save(parameters, "REPORT", context, write))
        progress.step(1.0)
        return outputs
