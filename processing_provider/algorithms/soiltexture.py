"""Soil texture classes from sand, silt and clay."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingParameterBand,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from ...plugin.core.progress import Progress
from ..base import SoilMoistureAlgorithm
from ..parameters import choice, decimal, line
from ..translation import tr

UNITS = ("auto", "percent", "g-per-kg", "fraction")


class SoilTexture(SoilMoistureAlgorithm):
    """Sand, silt and clay → raster of the twelve texture classes."""

    ID = "soiltexture"
    TITLE = "Soil texture class"
    GROUP = "covariates"
    TAGS = "soil,texture triangle,usda,sand,silt,clay,soilgrids,classes"

    def declare(self) -> None:
        for name, label in (
            ("SAND", tr("Sand")),
            ("SILT", tr("Silt (without it: the rest of sand and clay)")),
            ("CLAY", tr("Clay")),
        ):
            self.add(QgsProcessingParameterRasterLayer(name, label, None, optional=name == "SILT"))
            band = QgsProcessingParameterBand(
                f"{name}_BAND", tr("Band of {}").format(name.lower()), 1, name, name == "SILT"
            )
            self.add(band, advanced=True)
        self.add(choice("UNITS", tr("Units"), UNITS, "auto"))
        self.add(
            decimal("SUM_TOLERANCE", tr("How far the sum may be off (%)"), 5.0, 0.0, 50.0),
            advanced=True,
        )
        self.add(line("NAME", tr("Covariate name"), "soil_texture"), advanced=True)
        self.add(QgsProcessingParameterRasterDestination("OUTPUT", tr("Soil texture class")))

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.covariates.texture import TextureBand, soil_texture

        def band(name: str) -> TextureBand | None:
            rasters = self.rasters(name)
            number = self.parameterAsInt(parameters, f"{name}_BAND", context) or 1
            return TextureBand(rasters[0].path, number) if rasters else None

        output = self.raster_destination(parameters, "OUTPUT", context)
        soil_texture(
            band("SAND"),
            band("SILT"),
            band("CLAY"),
            output,
            units=self.parameterAsEnumString(parameters, "UNITS", context),
            tolerance=self.parameterAsDouble(parameters, "SUM_TOLERANCE", context),
            name=self.text(parameters, "NAME", context) or "soil_texture",
            progress=progress,
        )
        return {"OUTPUT": str(output)}
