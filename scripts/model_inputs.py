"""Inputs of the graphical model "Field moisture map", with places on its diagram's grid."""

from __future__ import annotations

from typing import Any

from model_parts import Input
from qgis.core import (
    Qgis,
    QgsProcessingParameterCrs,
    QgsProcessingParameterDateTime,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)


def rasters(name: str, title: str, *, optional: bool = False) -> Any:
    """Return an input of several rasters."""
    kind = Qgis.ProcessingSourceType.Raster
    return QgsProcessingParameterMultipleLayers(name, title, kind, None, optional)


def _csv(name: str, title: str) -> Any:
    return QgsProcessingParameterFile(
        name, title, fileFilter="Tables of readings (*.csv *.txt);;All files (*)"
    )


def make_inputs() -> list[Input]:
    """List the inputs in the order of the dialog."""
    day = Qgis.ProcessingDateTimeParameterDataType.Date
    polygons = [Qgis.ProcessingSourceType.VectorPolygon]
    whole = Qgis.ProcessingNumberParameterType.Integer
    dated = "The date stands in the band description, the file name or the TIFF tag."
    return [
        Input(
            QgsProcessingParameterDateTime("DATE", "Day to map", day),
            (6, 12),
            "Dated rasters of the field must lie within the tolerance of this day.",
        ),
        Input(
            _csv("STATIONS", "Regional stations"),
            (2, 0.1),
            "CSV with the readings of many stations: station, date, moisture (m³ m⁻³), depth (m), "
            "x, y, and the network where known. Columns are found by their headers.",
        ),
        Input(
            QgsProcessingParameterRasterLayer("REGION_DEM", "Regional elevation model"),
            (0, 0.8),
            "In a coordinate system in metres.",
        ),
        Input(
            rasters("REGION_RADAR", "Regional radar passes"),
            (0, 1.8),
            f"Dated rasters with bands VV and VH, at least 10 dates. {dated}",
        ),
        Input(
            rasters("REGION_STATIC", "Other static rasters of the region", optional=True),
            (0, 2.8),
            "For instance soil maps. Bands are covariates, matched by name with the field's.",
        ),
        Input(
            rasters(
                "REGION_DYNAMIC",
                "Coarse moisture and other dated rasters of the region",
                optional=True,
            ),
            (0, 3.6),
            f"For instance SMAP, and a vegetation index. {dated}",
        ),
        Input(
            _csv("PROBES", "Probes of the field"),
            (2, 10.6),
            "CSV like that of the stations. Some probes go into the model, the others check it.",
        ),
        Input(
            QgsProcessingParameterRasterLayer("FIELD_DEM", "Elevation model of the field"),
            (0, 6.8),
            "In a coordinate system in metres. The map takes its cells.",
        ),
        Input(
            rasters("FIELD_RADAR", "Radar passes over the field"),
            (0, 7.8),
            f"As for the region, finer. {dated}",
        ),
        Input(
            rasters("FIELD_STATIC", "Other static rasters of the field", optional=True),
            (0, 8.8),
            "The same covariates as in the region, finer where you have them.",
        ),
        Input(
            rasters(
                "FIELD_DYNAMIC",
                "Coarse moisture and other dated rasters of the field",
                optional=True,
            ),
            (0, 9.6),
            "The same covariates as in the region; may be the same files.",
        ),
        Input(
            QgsProcessingParameterFeatureSource(
                "MASK", "Boundary of the field", polygons, None, True
            ),
            (6, 11.2),
            "Polygons: cells whose centre lies inside are mapped. Empty = all cells.",
        ),
        Input(
            QgsProcessingParameterNumber(
                "SPIKES",
                "Probes in the model (0 = a tenth, at least 8)",
                whole,
                0,
                False,
                0,
            ),
            (4, 10.6),
            "The other probes check the model. Where there are fewer than 12, all go into it.",
            advanced=True,
        ),
        Input(
            QgsProcessingParameterString(
                "COVARIATES", "Covariates (empty = all)", None, False, True
            ),
            (4, 0.6),
            "Names joined by semicolons.",
            advanced=True,
        ),
        Input(
            QgsProcessingParameterString(
                "BASELINE", "Covariate to compare the map with", None, False, True
            ),
            (6, 9.2),
            "A covariate in m³ m⁻³, such as the coarse moisture, whose scores stand beside those "
            "of the model.",
            advanced=True,
        ),
        Input(
            QgsProcessingParameterNumber(
                "TOLERANCE", "Tolerance for dated rasters (days)", whole, 6, False, 0
            ),
            (1, 4.95),
            "How many days a dated raster may be away from a reading, or from the day to map.",
            advanced=True,
        ),
        Input(
            QgsProcessingParameterNumber(
                "DEPTH_MAX",
                "Largest depth of a reading (m)",
                Qgis.ProcessingNumberParameterType.Double,
                0.05,
                False,
                0.0,
            ),
            (2, 4.95),
            "Deeper readings are dropped, and listed.",
            advanced=True,
        ),
        Input(
            QgsProcessingParameterCrs("CRS", "Coordinate system of the tables", "EPSG:4326"),
            (3, 4.95),
            "Of the columns x and y.",
            advanced=True,
        ),
        Input(
            QgsProcessingParameterNumber("SEED", "Seed", whole, 42, False, 0),
            (4, 4.95),
            "The same inputs and seed give the same map.",
            advanced=True,
        ),
    ]
