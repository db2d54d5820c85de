"""Which local stations spike a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qgis.core import Qgis, QgsProcessingContext, QgsProcessingParameterFeatureSink

from ...plugin.core.progress import Progress
from ..base import SoilMoistureAlgorithm
from ..parameters import (
    ModelParameter,
    SeedParameter,
    choice,
    decimal,
    field,
    model_file,
    rows,
    whole,
)
from ..translation import tr

if TYPE_CHECKING:
    from ...plugin.core.models.record import Model
    from ...plugin.core.stations.design.designs import BaseRows

METHODS = ("random", "stratified", "coverage", "lhs")


class SelectSpiking(ModelParameter, SeedParameter, SoilMoistureAlgorithm):
    """Training table of a field → the same with role spike or validate."""

    ID = "selectspiking"
    TITLE = "Select spiking stations"
    GROUP = "stations"
    TAGS = "sampling design,local,spike,choose stations"

    def declare(self) -> None:
        self.add(rows("INPUT", tr("Local training table")))
        self.add(field("STATION", tr("Station field"), "station"))
        self.add(field("COVARIATES", tr("Covariates"), several=True, optional=True))
        self.add(whole("COUNT", tr("Number of stations (0 = by share)"), 0, 0))
        self.add(decimal("FRACTION", tr("Share of the stations"), 0.1, 0.0, 1.0))
        self.add(choice("METHOD", tr("Method"), METHODS, "random"))
        self.add(field("STRATA", tr("Field of strata"), optional=True))
        self.add(model_file("BASE_MODEL", tr("Model to spike"), optional=True), advanced=True)
        self.declare_seed()
        self.add(
            QgsProcessingParameterFeatureSink(
                "OUTPUT", tr("Spiking table"), Qgis.ProcessingSourceType.Vector
            )
        )

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.stations.design.spiking_design import select_spiking

        base = read_base(self.read_model(parameters, context, "BASE_MODEL"))
        source = self.table(parameters, "INPUT", context, progress.part(0.0, 0.4))
        table = select_spiking(
            source.table,
            station=self.text(parameters, "STATION", context) or "station",
            covariates=self.fields(parameters, "COVARIATES", context) or None,
            count=self.parameterAsInt(parameters, "COUNT", context),
            fraction=self.parameterAsDouble(parameters, "FRACTION", context),
            method=self.parameterAsEnumString(parameters, "METHOD", context),
            strata=self.text(parameters, "STRATA", context),
            base=base,
            exclude_fields=source.keys.primary_key,
            seed=self.read_seed(parameters, context),
            progress=progress.part(0.4, 0.9),
        )
        last = progress.part(0.9, 1.0)
        return self.write(parameters, "OUTPUT", context, table, source.types, last, "role")


def read_base(model: Model | None) -> BaseRows | None:
    """Return the training rows of the model to add readings to; None without a model.

    Raises
    ------
    InputError
        When the model does not hold them.
    """
    from ...plugin.core.stations.design.designs import BaseRows

    if model is None:
        return None
    rows = model.require_rows("what it covers cannot be told")
    stations = frozenset(zip(rows.network.astype(str), rows.station.astype(str)))
    return BaseRows(rows.X, rows.covariates, stations)
