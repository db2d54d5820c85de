"""Land cover maps brought to a few classes."""

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
from ..parameters import choice, csv_file, line
from ..translation import tr

SCHEMES = ("lc100", "worldcover", "nlcd", "corine", "own")
UNMAPPED = ("error", "missing", "other")


class GroupClasses(SoilMoistureAlgorithm):
    """Land cover map → raster of the classes cultivated, herbaceous, forest, shrub, bare, other."""

    ID = "groupclasses"
    TITLE = "Group land cover classes"
    GROUP = "covariates"
    TAGS = "land cover,land use,reclassify,lc100,worldcover,nlcd,corine,classes"

    def declare(self) -> None:
        self.add(QgsProcessingParameterRasterLayer("INPUT", tr("Land cover map")))
        self.add(QgsProcessingParameterBand("BAND", tr("Band"), 1, "INPUT"), advanced=True)
        self.add(choice("SCHEME", tr("Classes of the map"), SCHEMES, "lc100"))
        self.add(line("MAPPING", tr("Own classes (value=class)"), multiline=True))
        self.add(
            csv_file("MAPPING_TABLE", tr("Table of own classes"), optional=True), advanced=True
        )
        self.add(
            choice("UNMAPPED", tr("Values that are not listed"), UNMAPPED, "error"), advanced=True
        )
        self.add(line("NAME", tr("Covariate name"), "land_cover"), advanced=True)
        self.add(QgsProcessingParameterRasterDestination("OUTPUT", tr("Land cover classes")))

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.covariates.landcover import group_classes, parse_mapping, read_mapping

        output = self.raster_destination(parameters, "OUTPUT", context)
        table = self.file(parameters, "MAPPING_TABLE", context)
        lines = self.parameterAsString(parameters, "MAPPING", context)
        group_classes(
            self.rasters("INPUT")[0].path,
            self.parameterAsInt(parameters, "BAND", context),
            output,
            scheme=self.parameterAsEnumString(parameters, "SCHEME", context),
            mapping=[*(read_mapping(table) if table else ()), *parse_mapping(lines)],
            unmapped=self.parameterAsEnumString(parameters, "UNMAPPED", context),
            name=self.text(parameters, "NAME", context) or "land_cover",
            progress=progress,
        )
        return {"OUTPUT": str(output)}
