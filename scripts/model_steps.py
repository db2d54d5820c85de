"""Steps and outputs of the graphical model "Field moisture map", with places on its diagram's grid.

Places are columns and rows.
"""

from __future__ import annotations

from model_inputs import make_inputs
from model_parts import Box, Diagram, Output, Source, Step, given, made

SUMMARY = (
    "From elevation models, radar, coarse moisture and readings to a map of one day: terrain and "
    "radar statistics become covariates, a quantile forest learns from regional stations, some of "
    "the field's own probes correct it (spiking), and the others check it. Rasters of region and "
    "field are matched by band name. The maps are of what a probe would read at a point, with the "
    "interval in which nine readings of ten are expected."
)
COVARIATE_GROUPS = "\n".join(
    [
        "smap*=smap",
        "VV_*=sentinel1_statistics",
        "VH_*=sentinel1_statistics",
        "angle_*=sentinel1_statistics",
        "VV=sentinel1",
        "VH=sentinel1",
        "angle=sentinel1",
        "clay*=soil",
        "sand*=soil",
        "soc*=soil",
        "bulk_density*=soil",
        "ndvi*=vegetation",
        "elevation*=terrain",
        "slope=terrain",
        "aspect*=terrain",
        "*curvature=terrain",
        "roughness=terrain",
        "twi=terrain",
    ]
)


def _describe(area: str, row: float) -> dict[str, Step]:
    """Return the steps from rasters to a covariate table, for the region or the field."""
    upper, lower = area.upper(), area.lower()
    kept = area == "Field"
    terrain = Output(
        "OUTPUT",
        "Terrain covariates of the field",
        "Raster to which the covariate table of the field points.",
        (2, row - 0.25),
    )
    statistics = Output(
        "OUTPUT",
        "Radar statistics of the field",
        "Raster to which the covariate table of the field points.",
        (2, row + 1.35),
    )
    table = Output(
        "OUTPUT",
        "Covariate table of the field",
        "For more maps with “Predict map” or “Predict series”: append new radar passes with "
        "“Covariate table”.",
        (4, row + 1.1),
    )
    return {
        f"terrain_{lower}": Step(
            "terraincovariates",
            f"{area}: terrain",
            (1, row),
            {"INPUT": [given(f"{upper}_DEM")]},
            {"FIELD_TERRAIN": terrain} if kept else {},
        ),
        f"statistics_{lower}": Step(
            "temporalstatistics",
            f"{area}: radar statistics",
            (1, row + 1),
            {"INPUT": [given(f"{upper}_RADAR")]},
            {"FIELD_STATISTICS": statistics} if kept else {},
        ),
        f"table_{lower}": Step(
            "covariatetable",
            f"{area}: covariate table",
            (3, row + 2),
            {
                "STATIC": [
                    made(f"terrain_{lower}"),
                    made(f"statistics_{lower}"),
                    given(f"{upper}_STATIC"),
                ],
                "DYNAMIC": [given(f"{upper}_RADAR"), given(f"{upper}_DYNAMIC")],
                "TOLERANCE": [given("TOLERANCE")],
                "GROUPS": [Source.fromStaticValue(COVARIATE_GROUPS)],
            },
            {"FIELD_COVARIATES": table} if kept else {},
        ),
    }


def _read(area: str, readings: str, row: float, next_row: float) -> dict[str, Step]:
    """Return the steps from readings to a training table, for the region or the field."""
    lower = area.lower()
    return {
        f"import_{lower}": Step(
            "importstations",
            f"{area}: import readings",
            (3, row),
            {
                "INPUT": [given(readings)],
                "DEPTH_MAX": [given("DEPTH_MAX")],
                "CRS": [given("CRS")],
            },
        ),
        f"sample_{lower}": Step(
            "samplecovariates",
            f"{area}: sample covariates",
            (4, next_row),
            {"INPUT": [made(f"import_{lower}")], "COVARIATES": [made(f"table_{lower}")]},
        ),
    }


def make_steps() -> dict[str, Step]:
    """List the steps by id, in the order they run."""
    seed = {"SEED": [given("SEED")]}
    return {
        **_describe("Region", 0.8),
        **_read("Region", "STATIONS", 0.8, 1.8),
        "train": Step(
            "trainmodel",
            "Region: train model",
            (5, 1.8),
            {
                "INPUT": [made("sample_region")],
                "COVARIATES": [given("COVARIATES")],
                "COVARIATE_TABLE": [made("table_region")],
                **seed,
            },
            {
                "BASE_MODEL": Output(
                    "OUTPUT",
                    "Regional model",
                    "Model of the stations alone, for other fields.",
                    (6, 1.0),
                ),
                "TRAINING_REPORT": Output(
                    "REPORT", "Training report", "Scores on stations left out.", (6, 1.8)
                ),
                "TRAINING_METRICS": Output(
                    "METRICS", "Training metrics", "The same numbers as a table.", (6, 2.6)
                ),
            },
        ),
        **_describe("Field", 6.8),
        **_read("Field", "PROBES", 10.6, 9.2),
        "select": Step(
            "selectspiking",
            "Field: choose probes for the model",
            (5, 9.2),
            {"INPUT": [made("sample_field")], "COUNT": [given("SPIKES")], **seed},
            {
                "PROBE_TABLE": Output(
                    "OUTPUT",
                    "Probes with their roles",
                    "Readings with covariates and the role spike or validate.",
                    (5, 10.3),
                )
            },
        ),
        "spike": Step(
            "spikemodel",
            "Spike the model with the chosen probes",
            (6, 7.2),
            {"MODEL": [made("train")], "INPUT": [made("select")], **seed},
            {
                "MODEL": Output(
                    "OUTPUT", "Model of the field", "Stations and chosen probes together.", (7, 6.5)
                ),
                "SPIKING_REPORT": Output(
                    "REPORT", "Spiking report", "What the probes brought.", (7, 7.2)
                ),
                "SPIKING_METRICS": Output(
                    "METRICS", "Spiking metrics", "Scores before and after.", (7, 7.9)
                ),
            },
        ),
        "validate": Step(
            "validate",
            "Check with the other probes",
            (7, 9.2),
            {
                "MODEL": [made("spike")],
                "INPUT": [made("select")],
                "BASELINE": [given("BASELINE")],
            },
            {
                "VALIDATION_REPORT": Output(
                    "REPORT", "Validation report", "Scores on the other probes.", (8, 8.5)
                ),
                "VALIDATION_METRICS": Output(
                    "METRICS", "Validation metrics", "The same numbers as a table.", (8, 9.2)
                ),
                "RESIDUALS": Output(
                    "RESIDUALS",
                    "Residuals",
                    "Predicted and measured, reading by reading.",
                    (8, 9.9),
                ),
            },
        ),
        "predict": Step(
            "predict",
            "Map the day",
            (7, 11.2),
            {
                "MODEL": [made("spike")],
                "COVARIATES": [made("table_field")],
                "DATE": [given("DATE")],
                "GRID": [given("FIELD_DEM")],
                "MASK": [given("MASK")],
            },
            {
                "MAP": Output(
                    "OUTPUT",
                    "Soil moisture",
                    "Mean, standard deviation and quantiles 0.05, 0.5 and 0.95, m³ m⁻³.",
                    (8, 11.0),
                ),
                "REASON": Output(
                    "REASON", "Why cells are empty", "Codes with a legend.", (8, 11.7)
                ),
            },
        ),
    }


_BOXES = (
    Box("The region: moisture and covariates of many stations", (-0.1, -0.6, 7.0, 4.8), "#e8f1e4"),
    Box("For both", (0.9, 4.4, 4.0, 1.0), "#eeeeee"),
    Box("The field: the same covariates, finer, and probes", (-0.1, 5.6, 5.95, 5.6), "#e4eef5"),
    Box("The map, and how far to trust it", (5.9, 5.6, 3.0, 7.0), "#f6efdf"),
)


def field_moisture_map() -> Diagram:
    """Return the whole chain, from readings and rasters to the map of a day."""
    return Diagram(
        "Field moisture map", "Maps", SUMMARY, tuple(make_inputs()), make_steps(), _BOXES
    )
