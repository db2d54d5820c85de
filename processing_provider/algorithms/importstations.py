"""Readings of soil-moisture probes → observation layer."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingParameterCrs,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
)

from ...plugin.core.progress import Progress
from ..base import SoilMoistureAlgorithm
from ..layers import wkt_of
from ..parameters import choice, date, decimal, field, line, read_date, whole
from ..translation import tr

FORMATS = ("auto", "ismn", "csv")
UNITS = ("m3m3", "percent")
SCREENING = ("frozen", "spikes", "flat")
COLUMNS = {
    "STATION_COLUMN": "Station column",
    "DATE_COLUMN": "Date column",
    "VALUE_COLUMNS": "Value columns",
    "TEMPERATURE_COLUMNS": "Soil temperature columns (°C)",
    "DEPTH_COLUMN": "Depth column",
    "NETWORK_COLUMN": "Network column",
    "X_COLUMN": "X column",
    "Y_COLUMN": "Y column",
}
_DEEPEST = 100.0


class ImportStations(SoilMoistureAlgorithm):
    """Files of readings → one row a station and day."""

    ID = "importstations"
    TITLE = "Import stations"
    GROUP = "stations"
    TAGS = "probes,sensors,observations,csv,ismn,uscrn,scan,in situ,readings,daily mean,screening"

    def declare(self) -> None:
        self.add(
            QgsProcessingParameterFile(
                "INPUT",
                tr("File, folder or zip archive"),
                fileFilter="Station files (*.zip *.stm *.csv *.txt *.gz);;All files (*)",
            )
        )
        self.add(choice("FORMAT", tr("Format"), FORMATS, "auto"))
        self.add(
            QgsProcessingParameterFeatureSource(
                "STATIONS",
                tr("Station positions"),
                [Qgis.ProcessingSourceType.VectorPoint],
                None,
                True,
            )
        )
        self.add(
            field(
                "STATION_FIELD",
                tr("Station field of the positions"),
                "station",
                parent="STATIONS",
                optional=True,
            )
        )
        for name, label in COLUMNS.items():
            self.add(line(name, tr(label)), advanced=True)
        self.add(decimal("DEPTH_MIN", tr("Smallest depth (m)"), 0.0, 0.0, _DEEPEST))
        self.add(decimal("DEPTH_MAX", tr("Largest depth (m)"), 0.05, 0.0, _DEEPEST))
        self.add(date("START", tr("First day"), optional=True))
        self.add(date("END", tr("Last day"), optional=True))
        self.add(line("SEASON", tr("Season (MM-DD/MM-DD)")))
        self.add(whole("MIN_READINGS", tr("Fewest readings a day"), 1, 1), advanced=True)
        self.add(
            QgsProcessingParameterCrs("CRS", tr("Coordinate system of the columns"), "EPSG:4326")
        )
        self.add(line("TIMEZONE", tr("Time zone of the readings"), "UTC"), advanced=True)
        self.add(choice("UNITS", tr("Units of the readings"), UNITS, "m3m3"))
        self.declare_quality()
        self.add(
            QgsProcessingParameterFeatureSink(
                "OUTPUT", tr("Observations"), Qgis.ProcessingSourceType.VectorPoint
            )
        )
        self.add(
            QgsProcessingParameterFeatureSink(
                "DROPPED",
                tr("Dropped readings"),
                Qgis.ProcessingSourceType.Vector,
                None,
                True,
                False,
            )
        )

    def declare_quality(self) -> None:
        """Add what decides whether a reading counts."""
        self.add(line("QUALITY_FLAGS", tr("Quality flags of ISMN taken"), "G"), advanced=True)
        self.add(
            decimal("MOISTURE_MAX", tr("Largest possible moisture (m³ m⁻³)"), 1.0, 0.0, 1.0),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterEnum(
                "SCREENING",
                tr("Screening"),
                list(SCREENING),
                True,
                ["frozen"],
                True,
                usesStaticStrings=True,
            ),
            advanced=True,
        )

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.stations.imports.importing import import_stations
        from ...plugin.core.stations.imports.screening_drops import Drops

        stations = None
        if self.given(parameters, "STATIONS"):
            stations = self.table(parameters, "STATIONS", context, progress.part(0.0, 0.0))
        columns = {name.lower(): self.text(parameters, name, context) or "" for name in COLUMNS}
        drops = Drops()
        table = import_stations(
            self.file(parameters, "INPUT", context),
            format=self.parameterAsEnumString(parameters, "FORMAT", context),
            stations=stations.table if stations else None,
            station_field=self.text(parameters, "STATION_FIELD", context) or "station",
            depth_min=self.parameterAsDouble(parameters, "DEPTH_MIN", context),
            depth_max=self.parameterAsDouble(parameters, "DEPTH_MAX", context),
            start=read_date(self, parameters, "START", context),
            end=read_date(self, parameters, "END", context),
            season=self.text(parameters, "SEASON", context) or "",
            min_readings=self.parameterAsInt(parameters, "MIN_READINGS", context),
            crs=wkt_of(self.parameterAsCrs(parameters, "CRS", context)),
            timezone=self.text(parameters, "TIMEZONE", context) or "UTC",
            units=self.parameterAsEnumString(parameters, "UNITS", context),
            quality_flags=self.parameterAsString(parameters, "QUALITY_FLAGS", context),
            moisture_max=self.parameterAsDouble(parameters, "MOISTURE_MAX", context),
            screening=self.read_screening(parameters, context),
            drops=drops,
            progress=progress.part(0.0, 0.9),
            **columns,
        )
        types = stations.types if stations else {}
        last = progress.part(0.9, 1.0)
        return {
            **self.write(parameters, "OUTPUT", context, table, types, last),
            **self.write(parameters, "DROPPED", context, drops.table(), {}, last),
        }

    def read_screening(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> list[str]:
        """Return the rules; none where the list is empty, for which QGIS gives the default."""
        if parameters.get("SCREENING", SCREENING) in ([], ""):
            return []
        return self.parameterAsEnumStrings(parameters, "SCREENING", context)
