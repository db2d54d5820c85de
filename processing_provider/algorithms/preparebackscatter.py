"""A series of radar backscatter on one grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingOutputMultipleLayers,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterString,
)

from ...plugin.core.progress import Progress
from ..base import SoilMoistureAlgorithm
from ..extent_parameter import ExtentParameter
from ..parameters import choice, decimal, switch
from ..translation import tr

if TYPE_CHECKING:
    from ...plugin.core.covariates.radar.backscatter_blocks import Preparation

UNITS = ("db", "linear")
DEFAULT_BANDS = "VV;VH;angle"
_LOWEST, _HIGHEST = -100.0, 50.0


class PrepareBackscatter(ExtentParameter, SoilMoistureAlgorithm):
    """Radar images → masked, aggregated and smoothed backscatter, a raster a pass."""

    ID = "preparebackscatter"
    TITLE = "Prepare backscatter"
    GROUP = "covariates"
    TAGS = "sentinel-1,radar,sar,speckle,multilook,incidence angle,sigma0,gamma0,aggregate"

    def declare(self) -> None:
        self.add(
            QgsProcessingParameterMultipleLayers(
                "INPUT", tr("Radar images"), Qgis.ProcessingSourceType.Raster
            )
        )
        self.add(
            QgsProcessingParameterString("BANDS", tr("Names of the bands"), DEFAULT_BANDS),
        )
        self.add(choice("UNITS", tr("Units of the images"), UNITS, "db"))
        for name, label, default in (
            ("VV_MIN", tr("Lowest valid VV (dB)"), -25.0),
            ("VV_MAX", tr("Highest valid VV (dB)"), -5.0),
            ("VH_MIN", tr("Lowest valid VH (dB)"), -30.0),
            ("VH_MAX", tr("Highest valid VH (dB)"), -10.0),
        ):
            self.add(decimal(name, label, default, _LOWEST, _HIGHEST))
        self.add(decimal("RESOLUTION", tr("Cell size (CRS units)"), 100.0, 0.0))
        self.add(switch("FILTER", tr("Smooth with a 3×3 Gaussian"), True))
        self.add(
            decimal("MIN_VALID", tr("Smallest share of a cell with values"), 0.0, 0.0, 1.0),
            advanced=True,
        )
        self.declare_extent(advanced=True)
        self.add(QgsProcessingParameterFolderDestination("OUTPUT", tr("Folder of the rasters")))
        self.add_output(QgsProcessingOutputMultipleLayers("LAYERS", tr("Rasters in order of date")))

    def collect(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        self.collect_extent(parameters, context)

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.covariates.radar.backscatter import prepare_backscatter

        folder = self.destination(parameters, "OUTPUT", context)
        extent = self._extent
        paths = prepare_backscatter(
            self.rasters("INPUT"),
            folder,
            bands=self.parameterAsString(parameters, "BANDS", context),
            preparation=self._preparation(parameters, context),
            extent=extent.edges if extent else None,
            extent_crs=extent.crs if extent else "",
            threads=self.threads(context),
            progress=progress,
        )
        return {"OUTPUT": str(folder), "LAYERS": [str(path) for path in paths]}

    def _preparation(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> Preparation:
        from ...plugin.core.covariates.radar.backscatter_blocks import Preparation

        def number(name: str) -> float:
            return self.parameterAsDouble(parameters, name, context)

        return Preparation(
            decibels=self.parameterAsEnumString(parameters, "UNITS", context) == "db",
            ranges=(
                (number("VV_MIN"), number("VV_MAX")),
                (number("VH_MIN"), number("VH_MAX")),
            ),
            resolution=number("RESOLUTION"),
            smooth=self.parameterAsBoolean(parameters, "FILTER", context),
            least_share=number("MIN_VALID"),
        )
