"""Spectral indices and albedo from reflectance."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingOutputMultipleLayers,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
)

from ...plugin.core.progress import Progress
from ..base import SoilMoistureAlgorithm
from ..parameters import choice, decimal, line
from ..translation import tr

SENSORS = ("auto", "sentinel-2", "landsat-8-9", "modis")
INDICES = (
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
)
CLASSES = ("cloud", "shadow", "cirrus", "snow", "water")
CELLS = ("finest", "coarsest")


class OpticalIndices(SoilMoistureAlgorithm):
    """Bands of Sentinel-2, Landsat 8/9 or MODIS → a raster of indices a day."""

    ID = "opticalindices"
    TITLE = "Optical indices"
    GROUP = "covariates"
    TAGS = (
        "ndvi,evi,savi,vari,ndwi,ndmi,ndii,gvmi,albedo,vegetation,reflectance,sentinel-2,"
        "landsat,modis,cloud mask"
    )

    def declare(self) -> None:
        self.add(
            QgsProcessingParameterMultipleLayers(
                "INPUT", tr("Rasters of reflectance"), Qgis.ProcessingSourceType.Raster
            )
        )
        self.add(choice("SENSOR", tr("Sensor"), SENSORS, "auto"))
        self.add(choice("INDICES", tr("Indices"), INDICES, list(INDICES), several=True))
        self.add(line("BANDS", tr("Bands with other names (red=B4;nir=B8)")), advanced=True)
        self.add(
            decimal("SCALE", tr("Scale (empty: the file's or product's)"), None, 0, optional=True),
            advanced=True,
        )
        self.add(
            decimal(
                "OFFSET", tr("Offset (empty: the file's or product's)"), None, -1e9, optional=True
            ),
            advanced=True,
        )
        self.add(line("CLOUD_BAND", tr("Cloud mask band (empty: the product's)")), advanced=True)
        self.add(
            choice("DROP", tr("Cells to drop"), CLASSES, list(CLASSES[:4]), several=True),
            advanced=True,
        )
        self.add(line("CLEAR_VALUES", tr("Values of the mask that are clear")), advanced=True)
        self.add(choice("CELLS", tr("Cells of the output"), CELLS, "finest"), advanced=True)
        self.add(QgsProcessingParameterFolderDestination("OUTPUT", tr("Folder of the indices")))
        self.add_output(QgsProcessingOutputMultipleLayers("LAYERS", tr("Indices in order of date")))

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.covariates.imagery.optical import optical_indices

        folder = self.destination(parameters, "OUTPUT", context)
        paths = optical_indices(
            self.rasters("INPUT"),
            folder,
            sensor=self.parameterAsEnumString(parameters, "SENSOR", context),
            indices=self.parameterAsEnumStrings(parameters, "INDICES", context),
            bands=self.text(parameters, "BANDS", context) or "",
            scale=self.number(parameters, "SCALE", context),
            offset=self.number(parameters, "OFFSET", context),
            cloud_band=self.text(parameters, "CLOUD_BAND", context) or "",
            clear_values=self.text(parameters, "CLEAR_VALUES", context) or "",
            dropped=self.parameterAsEnumStrings(parameters, "DROP", context),
            cells=self.parameterAsEnumString(parameters, "CELLS", context),
            progress=progress,
        )
        return {"OUTPUT": str(folder), "LAYERS": [str(path) for path in paths]}

    def number(
        self, parameters: dict[str, Any], name: str, context: QgsProcessingContext
    ) -> float | None:
        """Return a number; None where it is left empty."""
        if not self.given(parameters, name):
            return None
        return self.parameterAsDouble(parameters, name, context)
