"""Readings of stations interpolated by inverse distance."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputNumber,
    QgsProcessingParameterRasterDestination,
)

from ...plugin.core.errors import InputError
from ...plugin.core.progress import Progress
from ..base import SoilMoistureAlgorithm
from ..map_parameters import MapParameters
from ..parameters import date, decimal, field, read_date, rows, whole
from ..translation import tr

if TYPE_CHECKING:
    from ...plugin.core.mapping.interpolation import StationScores


class InterpolateStations(MapParameters, SoilMoistureAlgorithm):
    """Readings of stations → map by inverse distance weighting."""

    ID = "interpolatestations"
    TITLE = "Interpolate stations"
    GROUP = "maps"
    TAGS = "idw,inverse distance,interpolation,reference map,stations,probes"

    def declare(self) -> None:
        self.add(rows("INPUT", tr("Observations"), points=True))
        self.add(field("FIELD", tr("Field to interpolate"), "moisture"))
        self.add(date("DATE", tr("Day"), optional=True))
        self.add(date("START", tr("First day of a period"), optional=True))
        self.add(date("END", tr("Last day of a period"), optional=True))
        self.declare_place()
        self.add(decimal("POWER", tr("Power of the distance"), 2.0, 0.01, 100.0))
        self.add(whole("NEIGHBOURS", tr("Nearest stations that count (0 = all)"), 12, 0))
        self.add(
            decimal("RADIUS", tr("Farthest station that counts (m)"), None, 0.0, optional=True)
        )
        self.add(field("STATION", tr("Station field"), "station", optional=True), advanced=True)
        self.add(field("DATE_FIELD", tr("Date field"), "date", optional=True), advanced=True)
        self.add(QgsProcessingParameterRasterDestination("OUTPUT", tr("Interpolated readings")))
        self.add_output(QgsProcessingOutputNumber("N", tr("Stations left out in turn")))
        self.add_output(QgsProcessingOutputNumber("RMSE", tr("Their root mean squared error")))

    def collect(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        self.collect_extent(parameters, context)

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.mapping.interpolation import (
            Weighting,
            interpolate_map,
            score_stations,
        )
        from ...plugin.core.mapping.interpolation_distance import metric_of
        from ...plugin.core.mapping.interpolation_stations import station_values
        from ...plugin.core.stations.station_names import named_by_place
        from ...plugin.core.stations.times import observation_days

        radius = None
        if self.given(parameters, "RADIUS"):
            radius = self.parameterAsDouble(parameters, "RADIUS", context)
        weighting = Weighting(
            self.parameterAsDouble(parameters, "POWER", context),
            self.parameterAsInt(parameters, "NEIGHBOURS", context),
            radius,
        )
        start, end = self._days(parameters, context)
        grid = self.read_grid(parameters, context)
        progress.info(f"Grid: {grid.describe()}.")
        mask = self.polygons(parameters, "MASK", grid.crs, context, progress)
        name = self.text(parameters, "FIELD", context) or "moisture"
        metric = metric_of(grid)
        if metric.on_globe:
            progress.info("Distances are taken on the globe, not in the grid's own units.")
        station = self.text(parameters, "STATION", context)
        date_field = self.text(parameters, "DATE_FIELD", context)
        table = self.table(parameters, "INPUT", context, progress.part(0.0, 0.3)).table
        if date_field and table.has(date_field):
            days = observation_days(table, date_field, progress)
            table = table.with_columns({date_field: days})
        if station:
            table = named_by_place(table, station, progress)
        stations = station_values(
            table,
            metric,
            field=name,
            station=station,
            date_field=date_field,
            start=start,
            end=end,
            progress=progress,
        )
        progress.info(f"{len(stations)} stations with {stations.readings} readings.")
        scores = score_stations(stations, metric, weighting)
        tell_scores(scores, progress)
        output = self.raster_destination(parameters, "OUTPUT", context)
        interpolate_map(
            stations,
            metric,
            grid,
            output,
            weighting=weighting,
            field=name,
            mask=mask,
            day=start if start == end else None,
            threads=self.threads(context),
            progress=progress.part(0.3, 1.0),
        )
        outputs: dict[str, Any] = {"OUTPUT": str(output), "N": scores.n}
        return {**outputs, "RMSE": scores.rmse} if scores.n else outputs

    def _days(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[datetime.date | None, datetime.date | None]:
        day, start, end = (
            read_date(self, parameters, name, context) for name in ("DATE", "START", "END")
        )
        if day is None:
            return start, end
        if start is not None or end is not None:
            raise InputError(
                "DATE is given beside START or END.",
                "Give DATE for a day, or START and END for the mean of a period.",
            )
        return day, day


def tell_scores(scores: StationScores, progress: Progress) -> None:
    """Say how well each station is estimated from the others."""
    if scores.alone:
        progress.info(f"{scores.alone} stations have no other within RADIUS.")
    if not scores.n:
        progress.warn("No station can be estimated from the others: there are no scores.")
        return
    progress.info(
        f"Each of {scores.n} stations estimated from the others: ME {scores.me:+.4f}, RMSE "
        f"{scores.rmse:.4f}, r {scores.r:.3f}."
    )
