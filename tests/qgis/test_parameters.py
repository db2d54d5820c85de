"""Names, types, defaults and settings of the algorithms: what models and scripts rely on."""

from __future__ import annotations

from typing import Any

import pytest
from qgis.core import (
    Qgis,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingParameterDefinition,
    QgsProject,
)

TERRAIN = [
    "elevation",
    "slope",
    "aspect",
    "aspect_sin",
    "aspect_cos",
    "profile_curvature",
    "plan_curvature",
    "tangential_curvature",
    "mean_curvature",
    "roughness",
    "elevation_range",
    "twi",
]
INDICES = [
    "ndvi",
    "evi",
    "savi",
    "vari",
    "ndwi",
    "ndii5",
    "ndii6",
    "ndii7",
    "ndmi",
    "gvmi",
    "albedo",
]
GRID = {
    "GRID": ("raster", None, "optional"),
    "EXTENT": ("extent", None, "optional"),
    "RESOLUTION": ("number", None, "optional"),
    "CRS": ("crs", None, "optional"),
    "MASK": ("source", None, "optional"),
    "QUANTILES": ("string", "0.05;0.5;0.95", ""),
    "FALLBACK": ("file", None, "optional"),
}
JUDGED = {
    "MODEL": ("file", None, ""),
    "INPUT": ("source", None, ""),
    "TARGET": ("field", None, "optional"),
    "STATION": ("field", None, "optional"),
    "GROUPS": ("field", None, "optional"),
}
OPTIONAL_TEXT = ("string", None, "optional")

PARAMETERS: dict[str, dict[str, tuple[str, Any, str]]] = {
    "terraincovariates": {
        "INPUT": ("raster", None, ""),
        "BAND": ("band", 1, ""),
        "METHOD": ("enum", "zevenbergen-thorne", ""),
        "PARAMETERS": ("enum", TERRAIN, ""),
        "SMOOTHING": ("number", 0, ""),
        "OUTPUT": ("rasterDestination", None, ""),
    },
    "preparebackscatter": {
        "INPUT": ("multilayer", None, ""),
        "BANDS": ("string", "VV;VH;angle", ""),
        "UNITS": ("enum", "db", ""),
        "VV_MIN": ("number", -25, ""),
        "VV_MAX": ("number", -5, ""),
        "VH_MIN": ("number", -30, ""),
        "VH_MAX": ("number", -10, ""),
        "RESOLUTION": ("number", 100, ""),
        "FILTER": ("boolean", True, ""),
        "MIN_VALID": ("number", 0, ""),
        "EXTENT": ("extent", None, "optional"),
        "OUTPUT": ("folderDestination", None, ""),
    },
    "temporalstatistics": {
        "INPUT": ("multilayer", None, ""),
        "STATISTICS": ("enum", ["min", "mean", "max", "sd"], ""),
        "BANDS": OPTIONAL_TEXT,
        "DIRECTIONS": ("enum", "separate", ""),
        "MIN_DATES": ("number", 10, ""),
        "OUTPUT": ("rasterDestination", None, ""),
    },
    "groupclasses": {
        "INPUT": ("raster", None, ""),
        "BAND": ("band", 1, ""),
        "SCHEME": ("enum", "lc100", ""),
        "MAPPING": OPTIONAL_TEXT,
        "MAPPING_TABLE": ("file", None, "optional"),
        "UNMAPPED": ("enum", "error", ""),
        "NAME": ("string", "land_cover", "optional"),
        "OUTPUT": ("rasterDestination", None, ""),
    },
    "soiltexture": {
        "SAND": ("raster", None, ""),
        "SAND_BAND": ("band", 1, ""),
        "SILT": ("raster", None, "optional"),
        "SILT_BAND": ("band", 1, "optional"),
        "CLAY": ("raster", None, ""),
        "CLAY_BAND": ("band", 1, ""),
        "UNITS": ("enum", "auto", ""),
        "SUM_TOLERANCE": ("number", 5, ""),
        "NAME": ("string", "soil_texture", "optional"),
        "OUTPUT": ("rasterDestination", None, ""),
    },
    "opticalindices": {
        "INPUT": ("multilayer", None, ""),
        "SENSOR": ("enum", "auto", ""),
        "INDICES": ("enum", INDICES, ""),
        "BANDS": OPTIONAL_TEXT,
        "SCALE": ("number", None, "optional"),
        "OFFSET": ("number", None, "optional"),
        "CLOUD_BAND": OPTIONAL_TEXT,
        "DROP": ("enum", ["cloud", "shadow", "cirrus", "snow"], ""),
        "CLEAR_VALUES": OPTIONAL_TEXT,
        "CELLS": ("enum", "finest", ""),
        "OUTPUT": ("folderDestination", None, ""),
    },
    "fillgaps": {
        "INPUT": ("multilayer", None, ""),
        "WINDOW": ("number", 3, ""),
        "METHOD": ("enum", "mean", ""),
        "START": ("datetime", None, "optional"),
        "END": ("datetime", None, "optional"),
        "OUTPUT": ("folderDestination", None, ""),
    },
    "thermalindices": {
        "DAY": ("multilayer", None, ""),
        "NIGHT": ("multilayer", None, "optional"),
        "ALBEDO": ("multilayer", None, "optional"),
        "TOLERANCE": ("number", 16, ""),
        "UNITS": ("enum", "auto", ""),
        "SCALE": ("number", None, "optional"),
        "DAY_BAND": OPTIONAL_TEXT,
        "NIGHT_BAND": OPTIONAL_TEXT,
        "ALBEDO_BAND": OPTIONAL_TEXT,
        "OUTPUT": ("folderDestination", None, ""),
    },
    "preparecoarsemoisture": {
        "INPUT": ("file", None, ""),
        "PRODUCT": ("enum", "auto", ""),
        "PASS": ("enum", "average", ""),
        "QUALITY": ("enum", "recommended", ""),
        "VARIABLE": OPTIONAL_TEXT,
        "UNITS": ("enum", "m3m3", ""),
        "NAME": ("string", "smap", ""),
        "EXTENT": ("extent", None, "optional"),
        "START": ("datetime", None, "optional"),
        "END": ("datetime", None, "optional"),
        "OUTPUT": ("folderDestination", None, ""),
    },
    "easegrid": {
        "INPUT": ("multilayer", None, ""),
        "CELL": ("enum", "9km", ""),
        "MODE": ("enum", "aggregate", ""),
        "CLASSES": ("boolean", False, ""),
        "EXTENT": ("extent", None, "optional"),
        "MIN_VALID": ("number", 0.5, ""),
        "OUTPUT": ("folderDestination", None, ""),
    },
    "aligntogrid": {
        "INPUT": ("multilayer", None, ""),
        "GRID": ("raster", None, "optional"),
        "EXTENT": ("extent", None, "optional"),
        "RESOLUTION": ("number", None, "optional"),
        "CRS": ("crs", None, "optional"),
        "RESAMPLING": ("enum", "auto", ""),
        "CATEGORICAL": OPTIONAL_TEXT,
        "OUTPUT": ("folderDestination", None, ""),
    },
    "covariatetable": {
        "STATIC": ("multilayer", None, "optional"),
        "DYNAMIC": ("multilayer", None, "optional"),
        "APPEND_TO": ("file", None, "optional"),
        "TOLERANCE": ("number", 6, ""),
        "RESAMPLING": ("enum", "bilinear", ""),
        "GROUPS": OPTIONAL_TEXT,
        "PERIOD": ("number", 1, ""),
        "OUTPUT": ("fileDestination", None, ""),
        "REPORT": ("fileDestination", None, "optional"),
    },
    "importstations": {
        "INPUT": ("file", None, ""),
        "FORMAT": ("enum", "auto", ""),
        "STATIONS": ("source", None, "optional"),
        "STATION_FIELD": ("field", "station", "optional"),
        "STATION_COLUMN": OPTIONAL_TEXT,
        "DATE_COLUMN": OPTIONAL_TEXT,
        "VALUE_COLUMNS": OPTIONAL_TEXT,
        "TEMPERATURE_COLUMNS": OPTIONAL_TEXT,
        "DEPTH_COLUMN": OPTIONAL_TEXT,
        "NETWORK_COLUMN": OPTIONAL_TEXT,
        "X_COLUMN": OPTIONAL_TEXT,
        "Y_COLUMN": OPTIONAL_TEXT,
        "DEPTH_MIN": ("number", 0, ""),
        "DEPTH_MAX": ("number", 0.05, ""),
        "START": ("datetime", None, "optional"),
        "END": ("datetime", None, "optional"),
        "SEASON": OPTIONAL_TEXT,
        "MIN_READINGS": ("number", 1, ""),
        "CRS": ("crs", "EPSG:4326", ""),
        "TIMEZONE": ("string", "UTC", "optional"),
        "UNITS": ("enum", "m3m3", ""),
        "QUALITY_FLAGS": ("string", "G", "optional"),
        "MOISTURE_MAX": ("number", 1, ""),
        "SCREENING": ("enum", ["frozen"], "optional"),
        "OUTPUT": ("sink", None, ""),
        "DROPPED": ("sink", None, "optional"),
    },
    "samplecovariates": {
        "INPUT": ("source", None, ""),
        "DATE_FIELD": ("field", "date", ""),
        "COVARIATES": ("file", None, ""),
        "METHOD": ("enum", "table", ""),
        "RAIN": OPTIONAL_TEXT,
        "RAIN_MAX": ("number", 2, ""),
        "RAIN_GROUPS": OPTIONAL_TEXT,
        "OUTPUT": ("sink", None, ""),
        "UNMATCHED": ("sink", None, "optional"),
        "REPORT": ("fileDestination", None, "optional"),
    },
    "splitstations": {
        "INPUT": ("source", None, ""),
        "STATION": ("field", "station", ""),
        "STRATA": ("field", "network", "optional"),
        "METHOD": ("enum", "random", ""),
        "FRACTION": ("number", 0.25, ""),
        "HOLD_OUT": OPTIONAL_TEXT,
        "FOLDS": ("number", 5, ""),
        "DOMAIN": ("layer", None, "optional"),
        "DOMAIN_POINTS": ("number", 1000, ""),
        "SEED": ("number", 42, ""),
        "OUTPUT": ("sink", None, ""),
        "REPORT": ("fileDestination", None, "optional"),
    },
    "selectspiking": {
        "INPUT": ("source", None, ""),
        "STATION": ("field", "station", ""),
        "COVARIATES": ("field", None, "optional"),
        "COUNT": ("number", 0, ""),
        "FRACTION": ("number", 0.1, ""),
        "METHOD": ("enum", "random", ""),
        "STRATA": ("field", None, "optional"),
        "BASE_MODEL": ("file", None, "optional"),
        "SEED": ("number", 42, ""),
        "OUTPUT": ("sink", None, ""),
    },
    "planstations": {
        "COVARIATES": ("file", None, ""),
        "DATE": ("datetime", None, "optional"),
        "GRID": ("raster", None, "optional"),
        "EXTENT": ("extent", None, "optional"),
        "RESOLUTION": ("number", None, "optional"),
        "CRS": ("crs", None, "optional"),
        "MASK": ("source", None, "optional"),
        "ACCESS": ("source", None, "optional"),
        "EXISTING": ("source", None, "optional"),
        "COUNT": ("number", 10, ""),
        "MIN_DISTANCE": ("number", 0.0, ""),
        "METHOD": ("enum", "coverage", ""),
        "BASE_MODEL": ("file", None, "optional"),
        "CANDIDATES": ("number", 10_000, ""),
        "SEED": ("number", 42, ""),
        "OUTPUT": ("sink", None, ""),
    },
    "trainmodel": {
        "INPUT": ("source", None, ""),
        "TARGET": ("field", "moisture", ""),
        "STATION": ("field", "station", ""),
        "COVARIATES": ("field", None, "optional"),
        "GROUPS": ("field", None, "optional"),
        "COVARIATE_TABLE": ("file", None, "optional"),
        "WEIGHT_FIELD": ("field", None, "optional"),
        "METHOD": ("enum", "qrf", ""),
        "TREES": ("number", 50, ""),
        "MIN_LEAF": ("number", 10, ""),
        "MAX_FEATURES": ("number", 0.333, ""),
        "TUNE": ("boolean", False, ""),
        "FOLDS": ("number", 5, ""),
        "CALIBRATE": ("boolean", True, ""),
        "EMBED_TRAINING": ("boolean", True, ""),
        "SEED": ("number", 42, ""),
        "OUTPUT": ("fileDestination", None, ""),
        "REPORT": ("fileDestination", None, "optional"),
        "METRICS": ("fileDestination", None, "optional"),
    },
    "spikemodel": {
        **JUDGED,
        "METHOD": ("enum", "forest", ""),
        "WEIGHT": ("number", 0, ""),
        "ALLOW_DEPTH_MISMATCH": ("boolean", False, ""),
        "EMBED_TRAINING": ("boolean", True, ""),
        "SEED": ("number", 42, ""),
        "OUTPUT": ("fileDestination", None, ""),
        "REPORT": ("fileDestination", None, "optional"),
        "METRICS": ("fileDestination", None, "optional"),
    },
    "learningcurve": {
        **{name: kind for name, kind in JUDGED.items() if name != "GROUPS"},
        "COUNTS": ("string", "1;2;4;8", "optional"),
        "DESIGNS": ("enum", ["random", "coverage"], ""),
        "STRATA": ("field", None, "optional"),
        "DRAWS": ("number", 15, ""),
        "TEST_SHARE": ("number", 0.4, ""),
        "TOLERANCE": ("number", 5, ""),
        "WEIGHT": ("number", 0, ""),
        "TREES": ("number", 0, ""),
        "ALLOW_DEPTH_MISMATCH": ("boolean", False, ""),
        "SEED": ("number", 42, ""),
        "OUTPUT": ("fileDestination", None, ""),
        "REPORT": ("fileDestination", None, "optional"),
    },
    "predict": {
        "MODEL": ("file", None, ""),
        "COVARIATES": ("file", None, ""),
        "DATE": ("datetime", None, ""),
        **GRID,
        "OUTPUT": ("rasterDestination", None, ""),
        "REASON": ("rasterDestination", None, "optional"),
    },
    "predictseries": {
        "MODEL": ("file", None, ""),
        "COVARIATES": ("file", None, ""),
        "START": ("datetime", None, "optional"),
        "END": ("datetime", None, "optional"),
        "STEP": ("number", 1, ""),
        "DATES": OPTIONAL_TEXT,
        **GRID,
        "OUTPUT": ("folderDestination", None, ""),
        "SUMMARY": ("fileDestination", None, "optional"),
    },
    "applicability": {
        "MODEL": ("file", None, ""),
        "COVARIATES": ("file", None, ""),
        "DATE": ("datetime", None, ""),
        **{name: kind for name, kind in GRID.items() if name not in ("QUANTILES", "FALLBACK")},
        "THRESHOLD_RULE": ("enum", "fence", ""),
        "OUTPUT": ("rasterDestination", None, ""),
        "EXPECTED_ERROR": ("rasterDestination", None, "optional"),
    },
    "validate": {
        **JUDGED,
        "ROLE": ("string", "validate", "optional"),
        "BASELINE": ("field", None, "optional"),
        "REPORT": ("fileDestination", None, "optional"),
        "METRICS": ("fileDestination", None, "optional"),
        "RESIDUALS": ("sink", None, "optional"),
    },
    "rankcovariates": {
        "INPUT": ("source", None, ""),
        "TARGET": ("field", "moisture", ""),
        "STATION": ("field", "station", ""),
        "COVARIATES": ("field", None, "optional"),
        "COVARIATE_TABLE": ("file", None, "optional"),
        "METHOD": ("enum", "permutation", ""),
        "RANKING": ("enum", "permutation", ""),
        "TOLERANCE": ("number", 0.02, ""),
        "REPEATS": ("number", 5, ""),
        "WEIGHT_FIELD": ("field", None, "optional"),
        "TREES": ("number", 50, ""),
        "MIN_LEAF": ("number", 10, ""),
        "MAX_FEATURES": ("number", 0.333, ""),
        "FOLDS": ("number", 5, ""),
        "SEED": ("number", 42, ""),
        "OUTPUT": ("fileDestination", None, ""),
        "REPORT": ("fileDestination", None, "optional"),
    },
    "modelcard": {"MODEL": ("file", None, ""), "OUTPUT": ("fileDestination", None, "")},
    "comparemaps": {
        "INPUT": ("raster", None, ""),
        "BAND": ("band", 1, ""),
        "REFERENCE": ("raster", None, ""),
        "REFERENCE_BAND": ("band", 1, ""),
        "GRID": ("enum", "input", ""),
        "RESAMPLING": ("enum", "auto", ""),
        "MASK": ("source", None, "optional"),
        "THRESHOLD": ("number", 0.05, ""),
        "MIN_COVER": ("number", 0.5, ""),
        "UNITS": ("enum", "auto", ""),
        "REFERENCE_UNITS": ("enum", "auto", ""),
        "OUTPUT": ("rasterDestination", None, ""),
        "REPORT": ("fileDestination", None, "optional"),
        "METRICS": ("fileDestination", None, "optional"),
    },
    "interpolatestations": {
        "INPUT": ("source", None, ""),
        "FIELD": ("field", "moisture", ""),
        "DATE": ("datetime", None, "optional"),
        "START": ("datetime", None, "optional"),
        "END": ("datetime", None, "optional"),
        "GRID": ("raster", None, "optional"),
        "EXTENT": ("extent", None, "optional"),
        "RESOLUTION": ("number", None, "optional"),
        "CRS": ("crs", None, "optional"),
        "MASK": ("source", None, "optional"),
        "POWER": ("number", 2, ""),
        "NEIGHBOURS": ("number", 12, ""),
        "RADIUS": ("number", None, "optional"),
        "STATION": ("field", "station", "optional"),
        "DATE_FIELD": ("field", "date", "optional"),
        "OUTPUT": ("rasterDestination", None, ""),
    },
}
EXTRA_OUTPUTS = {
    "preparecoarsemoisture": {"LAYERS": "outputMultilayer"},
    "easegrid": {"LAYERS": "outputMultilayer"},
    "trainmodel": {"RMSE": "outputNumber", "R2": "outputNumber"},
    "rankcovariates": {"SELECTED": "outputString"},
    "predict": {"COVERAGE": "outputNumber"},
    "applicability": {
        "THRESHOLD": "outputNumber",
        "INSIDE": "outputNumber",
        "COVERAGE": "outputNumber",
    },
    "comparemaps": {
        "N": "outputNumber",
        "ME": "outputNumber",
        "RMSE": "outputNumber",
        "UBRMSE": "outputNumber",
        "R": "outputNumber",
        "KL": "outputNumber",
    },
    "interpolatestations": {"N": "outputNumber", "RMSE": "outputNumber"},
    "predictseries": {"LAYERS": "outputMultilayer"},
    "preparebackscatter": {"LAYERS": "outputMultilayer"},
    "thermalindices": {"LAYERS": "outputMultilayer"},
    "fillgaps": {"LAYERS": "outputMultilayer"},
    "aligntogrid": {"LAYERS": "outputMultilayer"},
    "opticalindices": {"LAYERS": "outputMultilayer"},
}
OPTIONS = {
    ("applicability", "THRESHOLD_RULE"): ["fence", "whisker"],
    ("terraincovariates", "METHOD"): ["zevenbergen-thorne", "evans", "horn"],
    ("terraincovariates", "PARAMETERS"): TERRAIN,
    ("preparebackscatter", "UNITS"): ["db", "linear"],
    ("temporalstatistics", "STATISTICS"): ["min", "mean", "max", "sd"],
    ("temporalstatistics", "DIRECTIONS"): ["separate", "pooled"],
    ("groupclasses", "SCHEME"): ["lc100", "worldcover", "nlcd", "corine", "own"],
    ("groupclasses", "UNMAPPED"): ["error", "missing", "other"],
    ("soiltexture", "UNITS"): ["auto", "percent", "g-per-kg", "fraction"],
    ("opticalindices", "SENSOR"): ["auto", "sentinel-2", "landsat-8-9", "modis"],
    ("opticalindices", "INDICES"): INDICES,
    ("opticalindices", "DROP"): ["cloud", "shadow", "cirrus", "snow", "water"],
    ("opticalindices", "CELLS"): ["finest", "coarsest"],
    ("fillgaps", "METHOD"): ["mean", "carry-forward"],
    ("aligntogrid", "RESAMPLING"): [
        "auto",
        "average",
        "bilinear",
        "nearest",
        "mode",
        "cubic",
    ],
    ("thermalindices", "UNITS"): ["auto", "kelvin", "celsius"],
    ("preparecoarsemoisture", "PRODUCT"): [
        "auto",
        "smap-l3-36km",
        "smap-l3-9km",
        "netcdf",
        "geotiff",
    ],
    ("preparecoarsemoisture", "PASS"): ["average", "am", "pm"],
    ("preparecoarsemoisture", "QUALITY"): ["recommended", "all"],
    ("preparecoarsemoisture", "UNITS"): ["m3m3", "percent", "other"],
    ("easegrid", "CELL"): ["36km", "25km", "9km", "3km", "2.25km"],
    ("easegrid", "MODE"): ["aggregate", "snap"],
    ("covariatetable", "RESAMPLING"): ["nearest", "bilinear", "cubic", "average"],
    ("importstations", "FORMAT"): ["auto", "ismn", "csv"],
    ("importstations", "SCREENING"): ["frozen", "spikes", "flat"],
    ("importstations", "UNITS"): ["m3m3", "percent"],
    ("samplecovariates", "METHOD"): ["table", "nearest", "bilinear"],
    ("splitstations", "METHOD"): [
        "random",
        "stratified",
        "leave-network-out",
        "years",
        "k-fold",
        "knndm",
    ],
    ("selectspiking", "METHOD"): ["random", "stratified", "coverage", "lhs"],
    ("planstations", "METHOD"): ["coverage", "lhs", "random"],
    ("spikemodel", "METHOD"): ["forest", "bias"],
    ("learningcurve", "DESIGNS"): ["random", "stratified", "coverage", "lhs"],
    ("trainmodel", "METHOD"): ["qrf", "rf"],
    ("rankcovariates", "METHOD"): [
        "permutation",
        "out-of-bag",
        "impurity",
        "group-drop",
        "successive",
        "forward",
    ],
    ("rankcovariates", "RANKING"): ["permutation", "out-of-bag", "impurity"],
    ("comparemaps", "GRID"): ["input", "reference", "coarser"],
    ("comparemaps", "RESAMPLING"): ["auto", "nearest", "bilinear", "average"],
    ("comparemaps", "UNITS"): ["auto", "m3m3", "percent"],
    ("comparemaps", "REFERENCE_UNITS"): ["auto", "m3m3", "percent"],
}
GROUPS = {
    "covariates": [
        "terraincovariates",
        "preparebackscatter",
        "temporalstatistics",
        "preparecoarsemoisture",
        "easegrid",
        "fillgaps",
        "aligntogrid",
        "groupclasses",
        "soiltexture",
        "opticalindices",
        "thermalindices",
        "covariatetable",
    ],
    "stations": [
        "importstations",
        "samplecovariates",
        "splitstations",
        "selectspiking",
        "planstations",
    ],
    "models": [
        "trainmodel",
        "spikemodel",
        "learningcurve",
        "validate",
        "rankcovariates",
        "modelcard",
    ],
    "maps": ["predict", "predictseries", "applicability", "comparemaps", "interpolatestations"],
}
CHAIN = sorted(PARAMETERS)


@pytest.fixture
def algorithm(provider: Any, request: pytest.FixtureRequest) -> Any:
    found = provider.algorithm(request.param)
    assert found is not None, request.param
    return found


def test_provider_lists_the_chain(provider: Any) -> None:
    assert provider.id() == "soilmoisture"
    assert provider.name() == "Soil moisture"
    assert set(CHAIN) <= {algorithm.name() for algorithm in provider.algorithms()}
    assert not provider.icon().isNull()
    assert provider.supportedOutputRasterLayerExtensions() == ["tif"]
    assert provider.supportedOutputVectorLayerExtensions() == ["gpkg", "fgb", "geojson", "csv"]


@pytest.mark.parametrize("algorithm", CHAIN, indirect=True)
def test_parameters(algorithm: Any) -> None:
    optional = Qgis.ProcessingParameterFlag.Optional
    found = {
        definition.name(): (
            definition.type(),
            definition.defaultValue(),
            "optional" if definition.flags() & optional else "",
        )
        for definition in algorithm.parameterDefinitions()
    }
    assert found == PARAMETERS[algorithm.name()]
    assert list(found) == list(PARAMETERS[algorithm.name()]), "order"


@pytest.mark.parametrize("algorithm", CHAIN, indirect=True)
def test_outputs(algorithm: Any) -> None:
    outputs = {output.name(): output.type() for output in algorithm.outputDefinitions()}
    kinds = {
        "rasterDestination": "outputRaster",
        "sink": "outputVector",
        "folderDestination": "outputFolder",
    }
    expected = dict(EXTRA_OUTPUTS.get(algorithm.name(), {}))
    for name, (kind, _default, _optional) in PARAMETERS[algorithm.name()].items():
        if kind in kinds:
            expected[name] = kinds[kind]
        elif kind == "fileDestination":
            is_page = ".html" in algorithm.parameterDefinition(name).fileFilter()
            expected[name] = "outputHtml" if is_page else "outputFile"
    assert outputs == expected


@pytest.mark.parametrize("algorithm", CHAIN, indirect=True)
def test_settings(algorithm: Any) -> None:
    group = next(name for name, members in GROUPS.items() if algorithm.name() in members)
    assert algorithm.id() == f"soilmoisture:{algorithm.name()}"
    assert algorithm.groupId() == group
    assert algorithm.group() == group.capitalize()
    assert algorithm.displayName()[0].isupper()
    assert algorithm.canExecute() == (True, "")
    assert not algorithm.icon().isNull()
    assert len(algorithm.tags()) >= 3
    summary = algorithm.shortDescription()
    assert summary.endswith(".")
    assert summary.count(". ") == 0
    flags = algorithm.flags()
    assert flags & Qgis.ProcessingAlgorithmFlag.SupportsBatch
    assert not flags & Qgis.ProcessingAlgorithmFlag.HideFromModeler


@pytest.mark.parametrize("algorithm", CHAIN, indirect=True)
def test_help_covers_every_parameter_and_output(algorithm: Any) -> None:
    from soil_moisture_mapper.processing_provider.help import read_help

    texts = read_help(algorithm.name())
    inputs = {d.name() for d in algorithm.parameterDefinitions() if not d.isDestination()}
    assert set(texts["parameters"]) == inputs
    assert set(texts["outputs"]) == {d.name() for d in algorithm.outputDefinitions()}
    html = algorithm.shortHelpString()
    for text in [*texts["parameters"].values(), *texts["outputs"].values(), texts["example"]]:
        assert text in html
    for definition in algorithm.parameterDefinitions():
        assert definition.help() in definition.toolTip()
        assert definition.help()


@pytest.mark.parametrize(("place", "options"), OPTIONS.items())
def test_choices_are_static_texts(
    provider: Any, place: tuple[str, str], options: list[str]
) -> None:
    definition = provider.algorithm(place[0]).parameterDefinition(place[1])
    assert definition.usesStaticStrings()
    assert definition.options() == options


def test_every_choice_is_checked(provider: Any) -> None:
    enums = {
        (algorithm.name(), definition.name())
        for algorithm in provider.algorithms()
        if algorithm.name() in PARAMETERS
        for definition in algorithm.parameterDefinitions()
        if definition.type() == "enum"
    }
    assert enums == set(OPTIONS)


def test_seeds_and_good_defaults_are_advanced(provider: Any) -> None:
    advanced = Qgis.ProcessingParameterFlag.Advanced
    for algorithm in provider.algorithms():
        for definition in algorithm.parameterDefinitions():
            if definition.name() == "SEED":
                assert definition.flags() & advanced
            if algorithm.name() in PARAMETERS and definition.flags() & advanced:
                optional = definition.flags() & Qgis.ProcessingParameterFlag.Optional
                assert optional or definition.defaultValue() is not None, definition.name()


@pytest.mark.parametrize(
    ("name", "output", "path", "message"),
    [
        (
            "predict",
            "OUTPUT",
            "map.png",
            "OUTPUT: “.png” files are not supported as outputs for this algorithm. Use .tif.",
        ),
        (
            "splitstations",
            "OUTPUT",
            "a.shp",
            "OUTPUT: “.shp” files are not supported as outputs for this algorithm. "
            "Use .gpkg or .fgb or .geojson or .csv.",
        ),
        ("trainmodel", "OUTPUT", "a.zip", "OUTPUT: 'a.zip' must end in .smm"),
        ("trainmodel", "REPORT", "a.pdf", "REPORT: 'a.pdf' must end in .html"),
        ("covariatetable", "OUTPUT", "a.txt", "OUTPUT: 'a.txt' must end in .csv"),
    ],
)
def test_outputs_of_other_formats_are_refused(
    provider: Any, name: str, output: str, path: str, message: str
) -> None:
    algorithm = provider.algorithm(name).create()
    accepted, reason = algorithm.checkParameterValues({output: path}, QgsProcessingContext())
    assert not accepted
    assert reason.startswith(message)


@pytest.mark.parametrize(
    ("name", "output", "path"),
    [
        ("predict", "OUTPUT", "map.TIF"),
        ("predict", "OUTPUT", QgsProcessing.TEMPORARY_OUTPUT),
        ("splitstations", "OUTPUT", "memory:"),
        ("splitstations", "OUTPUT", "a.fgb"),
        ("trainmodel", "OUTPUT", QgsProcessing.TEMPORARY_OUTPUT),
        ("trainmodel", "REPORT", "a b.HTML"),
    ],
)
def test_outputs_of_these_formats_are_accepted(
    provider: Any, name: str, output: str, path: str
) -> None:
    definition = provider.algorithm(name).parameterDefinition(output)
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    assert definition.isSupportedOutputValue(path, context) == (True, "")


def test_reports_are_made_by_default(provider: Any) -> None:
    for name in ("trainmodel", "spikemodel", "validate"):
        algorithm = provider.algorithm(name)
        made = {
            definition.name()
            for definition in algorithm.destinationParameterDefinitions()
            if definition.createByDefault()
        }
        expected = {"REPORT"} if name == "validate" else {"OUTPUT", "REPORT"}
        assert made == expected


def test_parameters_are_stock_ones(provider: Any) -> None:
    for algorithm in provider.algorithms():
        for definition in algorithm.parameterDefinitions():
            assert isinstance(definition, QgsProcessingParameterDefinition)
            assert type(definition).__module__ == "qgis._core"
