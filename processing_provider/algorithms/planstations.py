"""Where to put new probes."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterFeatureSource,
)

from ...plugin.core.progress import Progress
from ..base import SoilMoistureAlgorithm
from ..map_parameters import MapParameters
from ..parameters import (
    SeedParameter,
    choice,
    csv_file,
    date,
    decimal,
    model_file,
    read_date,
    whole,
)
from ..translation import tr
from .selectspiking import read_base

METHODS = ("coverage", "lhs", "random")


class PlanStations(MapParameters, SeedParameter, SoilMoistureAlgorithm):
    """Covariates of a field + probes that stand there → places for more."""

    ID = "planstations"
    TITLE = "Plan stations"
    GROUP = "stations"
    TAGS = "sampling design,new probes,network,latin hypercube,k-means,coverage,placement"

    def declare(self) -> None:
        self.add(csv_file("COVARIATES", tr("Covariate table")))
        self.add(date("DATE", tr("Day of the dated covariates"), optional=True))
        self.declare_cells(tr("Grid (raster whose cells are the field)"))
        self.add(self._layer("MASK", tr("Mask (the field)"), polygons=True))
        self.add(self._layer("ACCESS", tr("Where probes may stand"), polygons=True))
        self.add(self._layer("EXISTING", tr("Existing probes"), polygons=False))
        self.add(whole("COUNT", tr("Number of new probes"), 10, 1))
        self.add(decimal("MIN_DISTANCE", tr("Smallest distance between probes (m)"), 0.0, 0.0))
        self.add(choice("METHOD", tr("Method"), METHODS, "coverage"))
        self.add(
            model_file("BASE_MODEL", tr("Model that the probes will add to"), optional=True),
            advanced=True,
        )
        self.add(
            whole("CANDIDATES", tr("Most cells to choose among"), 10_000, 100, 100_000),
            advanced=True,
        )
        self.declare_seed()
        self.add(
            QgsProcessingParameterFeatureSink(
                "OUTPUT", tr("Planned probes"), Qgis.ProcessingSourceType.VectorPoint
            )
        )

    def collect(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        self.collect_extent(parameters, context)

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.covariates.table import read_table
        from ...plugin.core.stations.design.planning import plan_stations

        grid = self.read_grid(parameters, context)
        progress.info(f"Grid: {grid.describe()}.")
        existing = None
        if self.given(parameters, "EXISTING"):
            existing = self.table(parameters, "EXISTING", context, progress.part(0.0, 0.05)).table
        plan = plan_stations(
            read_table(self.file(parameters, "COVARIATES", context)),
            grid,
            count=self.parameterAsInt(parameters, "COUNT", context),
            method=self.parameterAsEnumString(parameters, "METHOD", context),
            day=read_date(self, parameters, "DATE", context),
            mask=self._polygons(parameters, "MASK", context, grid.crs, progress),
            access=self._polygons(parameters, "ACCESS", context, grid.crs, progress),
            existing=existing,
            min_distance=self.parameterAsDouble(parameters, "MIN_DISTANCE", context),
            base=read_base(self.read_model(parameters, context, "BASE_MODEL")),
            candidates=self.parameterAsInt(parameters, "CANDIDATES", context),
            seed=self.read_seed(parameters, context),
            threads=self.threads(context),
            progress=progress.part(0.05, 0.95),
        )
        last = progress.part(0.95, 1.0)
        return self.write(parameters, "OUTPUT", context, plan, {}, last, "rank")

    def _layer(
        self, name: str, label: str, *, polygons: bool
    ) -> QgsProcessingParameterFeatureSource:
        kind = Qgis.ProcessingSourceType
        wanted = kind.VectorPolygon if polygons else kind.VectorPoint
        return QgsProcessingParameterFeatureSource(name, label, [wanted], None, True)

    def _polygons(
        self,
        parameters: dict[str, Any],
        name: str,
        context: QgsProcessingContext,
        crs: str,
        progress: Progress,
    ) -> list[dict[str, Any]] | None:
        cure = "Choose a layer of polygons that lie in the grid."
        return self.polygons(parameters, name, crs, context, progress, cure)
