"""Day–night difference of surface temperature and apparent thermal inertia."""

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
from ..parameters import choice, decimal, line, whole
from ..translation import tr

UNITS = ("auto", "kelvin", "celsius")


class ThermalIndices(SoilMoistureAlgorithm):
    """Land-surface temperature by day and night, and albedo → a raster a day."""

    ID = "thermalindices"
    TITLE = "Thermal indices"
    GROUP = "covariates"
    TAGS = "lst,land surface temperature,thermal inertia,ati,day,night,modis,mod11a1"

    def declare(self) -> None:
        for name, label, optional in (
            ("DAY", tr("Land-surface temperature by day"), False),
            ("NIGHT", tr("Land-surface temperature by night (empty: in the same rasters)"), True),
            ("ALBEDO", tr("Albedo"), True),
        ):
            self.add(
                QgsProcessingParameterMultipleLayers(
                    name, label, Qgis.ProcessingSourceType.Raster, optional=optional
                )
            )
        self.add(whole("TOLERANCE", tr("Tolerance of the albedo (days)"), 16, 0))
        self.add(choice("UNITS", tr("Unit of the temperature"), UNITS, "auto"), advanced=True)
        self.add(
            decimal("SCALE", tr("Scale (empty: the file's or product's)"), None, 0, optional=True),
            advanced=True,
        )
        self.add(line("DAY_BAND", tr("Band of the temperature by day")), advanced=True)
        self.add(line("NIGHT_BAND", tr("Band of the temperature by night")), advanced=True)
        self.add(line("ALBEDO_BAND", tr("Band of the albedo")), advanced=True)
        self.add(QgsProcessingParameterFolderDestination("OUTPUT", tr("Folder of the indices")))
        self.add_output(QgsProcessingOutputMultipleLayers("LAYERS", tr("Indices in order of date")))

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.covariates.imagery.thermal import thermal_indices

        folder = self.destination(parameters, "OUTPUT", context)
        given = self.given(parameters, "SCALE")
        paths = thermal_indices(
            self.rasters("DAY"),
            folder,
            night=self.rasters("NIGHT"),
            albedo=self.rasters("ALBEDO"),
            tolerance_days=self.parameterAsInt(parameters, "TOLERANCE", context),
            units=self.parameterAsEnumString(parameters, "UNITS", context),
            scale=self.parameterAsDouble(parameters, "SCALE", context) if given else None,
            day_band=self.text(parameters, "DAY_BAND", context) or "",
            night_band=self.text(parameters, "NIGHT_BAND", context) or "",
            albedo_band=self.text(parameters, "ALBEDO_BAND", context) or "",
            progress=progress,
        )
        return {"OUTPUT": str(folder), "LAYERS": [str(path) for path in paths]}
