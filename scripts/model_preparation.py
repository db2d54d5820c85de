"""The graphical models that turn downloads into covariates."""

from __future__ import annotations

from typing import Any

from model_inputs import rasters
from model_parts import Box, Diagram, Input, Output, Step, given, made
from qgis.core import (
    Qgis,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDateTime,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

_WHOLE = Qgis.ProcessingNumberParameterType.Integer
_DECIMAL = Qgis.ProcessingNumberParameterType.Double
_TABLE = "Rows of all rasters, for “Sample covariates” and “Predict map”; it points to the rasters."
_REPORT = "What is there and what is missing, day by day."


def _choice(name: str, title: str, values: list[str]) -> Any:
    return QgsProcessingParameterEnum(name, title, values, False, values[0], False, True)


def _day(name: str, title: str) -> Any:
    kind = Qgis.ProcessingDateTimeParameterDataType.Date
    return QgsProcessingParameterDateTime(name, title, kind, None, True)


def _table(place: tuple[float, float], inputs: dict[str, Any]) -> Step:
    column, row = place
    return Step(
        "covariatetable",
        "List the covariates",
        place,
        inputs,
        {
            "COVARIATES": Output("OUTPUT", "Covariate table", _TABLE, (column + 1, row - 0.5)),
            "REPORT": Output("REPORT", "Report", _REPORT, (column + 1, row + 0.5)),
        },
    )


def sentinel1() -> Diagram:
    """Return the way from radar images to a series, its statistics and a covariate table."""
    inputs = (
        Input(
            rasters("IMAGES", "Sentinel-1 images"),
            (0, 1),
            "Terrain-corrected images of many days, one file with VV, VH and angle or one file a "
            "band. The date stands in the file name.",
        ),
        Input(
            _choice("UNITS", "Units of the images", ["db", "linear"]),
            (0, 2),
            "Backscatter in dB, as from Earth Engine, or linear power, as from SNAP and ASF.",
        ),
        Input(
            QgsProcessingParameterNumber(
                "RESOLUTION", "Cell size (CRS units)", _DECIMAL, 100.0, False, 0.0
            ),
            (0, 3),
            "10, 30 or 100 m, or any other not finer than the images.",
        ),
        Input(
            QgsProcessingParameterString("BANDS", "Names of the bands", "VV;VH;angle"),
            (1, 2.6),
            "What the images call VV, VH and the incidence angle.",
            advanced=True,
        ),
        Input(
            QgsProcessingParameterBoolean("FILTER", "Smooth with a 3×3 Gaussian", True),
            (1, 0),
            "Against speckle.",
            advanced=True,
        ),
        Input(
            QgsProcessingParameterNumber(
                "MIN_DATES", "Fewest dates a cell must have", _WHOLE, 10, False, 1
            ),
            (2, 2.6),
            "For the statistics.",
            advanced=True,
        ),
        Input(
            QgsProcessingParameterNumber("TOLERANCE", "Tolerance (days)", _WHOLE, 6, False, 0),
            (3, 2.6),
            "How far an image may be from the day it stands for.",
            advanced=True,
        ),
    )
    names = ("UNITS", "RESOLUTION", "BANDS", "FILTER")
    steps = {
        "prepare": Step(
            "preparebackscatter",
            "Mask, average, smooth",
            (1, 1),
            {"INPUT": [given("IMAGES")], **{name: [given(name)] for name in names}},
            {
                "SERIES": Output(
                    "OUTPUT", "Folder of the series", "One raster a day and direction.", (2, 0)
                )
            },
        ),
        "statistics": Step(
            "temporalstatistics",
            "Minimum, mean, maximum, sd",
            (2, 1.6),
            {"INPUT": [made("prepare", "LAYERS")], "MIN_DATES": [given("MIN_DATES")]},
            {
                "STATISTICS": Output(
                    "OUTPUT", "Radar statistics", "Static covariates VV_min, VV_mean …", (3, 0)
                )
            },
        ),
        "table": _table(
            (3, 1.3),
            {
                "STATIC": [made("statistics")],
                "DYNAMIC": [made("prepare", "LAYERS")],
                "TOLERANCE": [given("TOLERANCE")],
            },
        ),
    }
    summary = (
        "Makes covariates of Sentinel-1 images: values out of range are masked, the rest averaged "
        "in linear power to the cells of your choice and smoothed; statistics over time become "
        "static covariates, and a table lists all of them."
    )
    boxes = (Box("From images to covariates", (-0.1, -0.7, 5.0, 4.5), "#e4eef5"),)
    return Diagram("Prepare Sentinel-1 series", "Covariates", summary, inputs, steps, boxes)


def terrain_and_soil() -> Diagram:
    """Return the way from an elevation model and soil maps to static covariates on its cells."""
    inputs = (
        Input(
            QgsProcessingParameterRasterLayer("DEM", "Elevation model"),
            (0, 0.8),
            "In a coordinate system in metres; its cells are taken for all.",
        ),
        Input(
            rasters("SOIL", "Soil maps and other static rasters"),
            (0, 2),
            "For instance clay, sand, organic carbon and bulk density; each band is a covariate.",
        ),
        Input(
            QgsProcessingParameterString(
                "CATEGORICAL", "Bands with classes (names joined by ;)", "land_cover;soil_texture",
                False, True,
            ),
            (1, 3.2),
            "Their values are codes: taken from the nearest cell, never averaged.",
            advanced=True,
        ),
        Input(
            QgsProcessingParameterNumber(
                "SMOOTHING", "Smoothing of the elevation model (cells)", _DECIMAL, 0.0, False, 0.0
            ),
            (1, -0.2),
            "Against the noise of a surface model.",
            advanced=True,
        ),
    )  # fmt: skip
    steps = {
        "terrain": Step(
            "terraincovariates",
            "Slope, aspect, curvatures, wetness",
            (1, 0.8),
            {"INPUT": [given("DEM")], "SMOOTHING": [given("SMOOTHING")]},
            {"TERRAIN": Output("OUTPUT", "Terrain covariates", "One band each.", (2, 0.1))},
        ),
        "align": Step(
            "aligntogrid",
            "Bring the maps to its cells",
            (1, 2),
            {
                "INPUT": [given("SOIL")],
                "GRID": [given("DEM")],
                "CATEGORICAL": [given("CATEGORICAL")],
            },
            {"ALIGNED": Output("OUTPUT", "Folder of the maps", "One raster each.", (2, 2.9))},
        ),
        "table": _table((2, 1.4), {"STATIC": [made("terrain"), made("align", "LAYERS")]}),
    }
    summary = (
        "Makes static covariates of an elevation model and soil maps: terrain parameters are "
        "computed, the maps brought to the same cells, and a table lists all of them."
    )
    boxes = (Box("Static covariates on one grid", (-0.1, -0.9, 4.0, 5.0), "#e8f1e4"),)
    return Diagram("Prepare terrain and soil", "Covariates", summary, inputs, steps, boxes)


def coarse_moisture() -> Diagram:
    """Return the way from downloads of SMAP or the like to a daily series without short gaps."""
    inputs = (
        Input(
            QgsProcessingParameterFile(
                "DOWNLOADS",
                "Folder or file",
                fileFilter="Coarse moisture (*.h5 *.nc *.tif);;All files (*)",
            ),
            (0, 1),
            "The files of SMAP level 3 (HDF5), NetCDF or GeoTIFF as downloaded.",
        ),
        Input(
            QgsProcessingParameterString("NAME", "Name of the covariate", "smap"),
            (0, 2),
            "The same for training and mapping.",
        ),
        Input(
            QgsProcessingParameterExtent("EXTENT", "Area", None, True),
            (0, 3),
            "Cells that touch it are kept; empty = all.",
        ),
        Input(_day("START", "First day"), (1, 3), "Empty = the first there is.", advanced=True),
        Input(_day("END", "Last day"), (1, 4), "Empty = the last there is.", advanced=True),
        Input(
            QgsProcessingParameterNumber("WINDOW", "Window (days)", _WHOLE, 3, False, 0),
            (2, 3),
            "A missing day becomes the mean of the values so many days before and after; where "
            "there are none it stays missing.",
            advanced=True,
        ),
    )
    period = {"START": [given("START")], "END": [given("END")]}
    steps = {
        "prepare": Step(
            "preparecoarsemoisture",
            "Read, check quality, georeference",
            (1, 1.4),
            {
                "INPUT": [given("DOWNLOADS")],
                "NAME": [given("NAME")],
                "EXTENT": [given("EXTENT")],
                **period,
            },
        ),
        "fill": Step(
            "fillgaps",
            "Fill short gaps",
            (2, 1.4),
            {"INPUT": [made("prepare", "LAYERS")], "WINDOW": [given("WINDOW")], **period},
            {
                "SERIES": Output(
                    "OUTPUT",
                    "Folder of the series",
                    "One raster a day; flags in the folder below tell measured from filled.",
                    (3, 0.3),
                )
            },
        ),
        "table": _table((3, 1.8), {"DYNAMIC": [made("fill", "LAYERS")]}),
    }
    summary = (
        "Makes a daily covariate of coarse satellite moisture: files are read as downloaded, poor "
        "retrievals left out, cells placed by the definition of the grid, short gaps filled from "
        "the days around, and a table lists all days."
    )
    boxes = (Box("From downloads to a daily series", (-0.1, -0.4, 5.0, 5.2), "#f6efdf"),)
    return Diagram("Prepare coarse moisture series", "Covariates", summary, inputs, steps, boxes)
