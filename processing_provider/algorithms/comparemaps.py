"""Two maps of soil moisture compared."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBand,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from ...plugin.core.dependencies import require
from ...plugin.core.progress import Progress, RecordingProgress
from ..base import SoilMoistureAlgorithm
from ..parameters import CSV_FILTER, HTML_FILTER, choice, decimal, file_output
from ..translation import tr

if TYPE_CHECKING:
    from ...plugin.core.evaluation.comparison_maps import MapBand

GRIDS = ("input", "reference", "coarser")
RESAMPLINGS = ("auto", "nearest", "bilinear", "average")
UNITS = ("auto", "m3m3", "percent")
NUMBERS = {
    "N": "Cells compared",
    "ME": "Mean difference",
    "RMSE": "Root mean squared difference",
    "UBRMSE": "Unbiased root mean squared difference",
    "R": "Correlation",
    "KL": "Kullback–Leibler divergence",
}


class CompareMaps(SoilMoistureAlgorithm):
    """Two maps → their difference, its statistics and a report."""

    ID = "comparemaps"
    TITLE = "Compare maps"
    GROUP = "maps"
    TAGS = "difference,histogram,bias,scatter,divergence,coarse product"

    def declare(self) -> None:
        for name, band, label in (
            ("INPUT", "BAND", tr("Map")),
            ("REFERENCE", "REFERENCE_BAND", tr("Reference map")),
        ):
            self.add(QgsProcessingParameterRasterLayer(name, label))
            self.add(QgsProcessingParameterBand(band, f"{label}: {tr('band')}", 1, name))
        self.add(choice("GRID", tr("Compare on the cells of"), GRIDS, "input"))
        self.add(choice("RESAMPLING", tr("Resampling to these cells"), RESAMPLINGS, "auto"))
        self.add(
            QgsProcessingParameterFeatureSource(
                "MASK",
                tr("Mask (polygons to compare)"),
                [Qgis.ProcessingSourceType.VectorPolygon],
                None,
                True,
            )
        )
        self.add(
            decimal("THRESHOLD", tr("Difference that counts as wetter or drier"), 0.05, 0.0, 1.0),
            advanced=True,
        )
        self.add(
            decimal("MIN_COVER", tr("Share of a coarse cell with values"), 0.5, 0.0, 1.0),
            advanced=True,
        )
        self.add(choice("UNITS", tr("Units of the map"), UNITS, "auto"), advanced=True)
        self.add(
            choice("REFERENCE_UNITS", tr("Units of the reference"), UNITS, "auto"), advanced=True
        )
        self.add(QgsProcessingParameterRasterDestination("OUTPUT", tr("Difference")))
        self.add(file_output("REPORT", tr("Report"), HTML_FILTER, by_default=True))
        self.add(file_output("METRICS", tr("Metrics"), CSV_FILTER))
        for name, label in NUMBERS.items():
            self.add_output(QgsProcessingOutputNumber(name, tr(label)))

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.evaluation.comparison import compare_maps, comparison_grid

        wanted = self.destination(parameters, "REPORT", context)
        if wanted is not None:
            require("matplotlib")
        heard = RecordingProgress(progress)
        first = self._map(parameters, context, "INPUT", "BAND", "UNITS")
        second = self._map(parameters, context, "REFERENCE", "REFERENCE_BAND", "REFERENCE_UNITS")
        which = self.parameterAsEnumString(parameters, "GRID", context)
        grid = comparison_grid(first, second, which)
        heard.info(f"Compared on {grid.describe()}.")
        output = self.raster_destination(parameters, "OUTPUT", context)
        comparison = compare_maps(
            first,
            second,
            grid,
            output,
            resampling=self.parameterAsEnumString(parameters, "RESAMPLING", context),
            mask=self.polygons(parameters, "MASK", grid.crs, context, heard),
            minimum_cover=self.parameterAsDouble(parameters, "MIN_COVER", context),
            threshold=self.parameterAsDouble(parameters, "THRESHOLD", context),
            progress=heard,
        )
        return {"OUTPUT": str(output), **self._tell(parameters, context, comparison, heard)}

    def _tell(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        comparison: Any,
        heard: RecordingProgress,
    ) -> dict[str, Any]:
        """Write report and metrics where they are wanted, and return the numbers."""
        from ...plugin.core.evaluation.comparison_scores import comparison_row, write_comparison

        row = comparison_row(comparison)
        numbers = {name: row[name.lower()] for name in NUMBERS if row[name.lower()] is not None}
        heard.info(", ".join(_shown(name, value) for name, value in numbers.items()) + ".")
        found = self.save(parameters, "METRICS", context, partial(write_comparison, comparison))
        if self.destination(parameters, "REPORT", context) is not None:
            from ...plugin.core.evaluation.reports.comparison_report import comparison_report

            write = partial(comparison_report, comparison, warnings=heard.warnings)
            found.update(self.save(parameters, "REPORT", context, write))
        return {**found, **numbers}

    def _map(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        name: str,
        band: str,
        units: str,
    ) -> MapBand:
        from ...plugin.core.evaluation.comparison_maps import map_band

        raster = self.rasters(name)[0]
        return map_band(
            raster.path,
            self.parameterAsInt(parameters, band, context),
            units=self.parameterAsEnumString(parameters, units, context),
            day=raster.fallback_date,
            parameter=name,
        )


def _shown(name: str, value: float) -> str:
    """Return one number for the log, with decimals enough for moisture."""
    return f"{name} {value}" if name == "N" else f"{name} {value:.4f}"
