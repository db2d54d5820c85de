"""An extent that a result is cut to, in whatever coordinate reference system it is given."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingParameterExtent

from ..plugin.core.errors import InputError
from . import layers
from .translation import tr


class ExtentParameter:
    """`EXTENT`, optional."""

    def declare_extent(self) -> None:
        """Add the parameter."""
        self.add(QgsProcessingParameterExtent("EXTENT", tr("Extent"), None, True))

    def collect(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        """Keep the extent with its own system."""
        self._extent: tuple[tuple[float, float, float, float], str] | None = None
        if not self.given(parameters, "EXTENT"):
            return
        edges = self.parameterAsExtent(parameters, "EXTENT", context)
        crs = layers.wkt_of(self.parameterAsExtentCrs(parameters, "EXTENT", context))
        if not crs:
            raise InputError(
                "EXTENT has no coordinate system.", "Add it, as in 5,9,50,53 [EPSG:4326]."
            )
        box = (edges.xMinimum(), edges.yMinimum(), edges.xMaximum(), edges.yMaximum())
        self._extent = (box, crs)

    def read_extent(self) -> tuple[tuple[float, float, float, float], str] | None:
        """Return edges and system; None where no extent was given."""
        return self._extent
