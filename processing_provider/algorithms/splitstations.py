"""Which stations train and which validate."""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis, QgsProcessingContext, QgsProcessingParameterFeatureSink

from ...plugin.core.progress import Progress
from ..base import SoilMoistureAlgorithm
from ..parameters import SeedParameter, choice, decimal, field, line, rows, whole
from ..translation import tr

METHODS = ("random", "stratified", "leave-network-out", "years", "k-fold")


class SplitStations(SeedParameter, SoilMoistureAlgorithm):
    """Training table → the same with a role or a fold."""

    ID = "splitstations"
    TITLE = "Split stations"
    GROUP = "stations"
    TAGS = "training,validation,cross-validation,folds,holdout"

    def declare(self) -> None:
        self.add(rows("INPUT", tr("Training table")))
        self.add(field("STATION", tr("Station field"), "station"))
        self.add(field("STRATA", tr("Field of strata"), "network", optional=True))
        self.add(choice("METHOD", tr("Method"), METHODS, "random"))
        self.add(decimal("FRACTION", tr("Share that validates"), 0.25, 0.0, 1.0))
        self.add(line("HOLD_OUT", tr("Networks or years that validate")))
        self.add(whole("FOLDS", tr("Folds"), 5, 2))
        self.declare_seed()
        self.add(
            QgsProcessingParameterFeatureSink(
                "OUTPUT", tr("Split table"), Qgis.ProcessingSourceType.Vector
            )
        )

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.stations.splits import split_stations

        source = self.table(parameters, "INPUT", context, progress.part(0.0, 0.4))
        table = split_stations(
            source.table,
            station=self.text(parameters, "STATION", context) or "station",
            strata=self.text(parameters, "STRATA", context),
            method=self.parameterAsEnumString(parameters, "METHOD", context),
            fraction=self.parameterAsDouble(parameters, "FRACTION", context),
            hold_out=self.text(parameters, "HOLD_OUT", context) or "",
            folds=self.parameterAsInt(parameters, "FOLDS", context),
            seed=self.read_seed(parameters, context),
            progress=progress.part(0.4, 0.5),
        )
        last = progress.part(0.5, 1.0)
        return self.write(parameters, "OUTPUT", context, table, source.types, last)
