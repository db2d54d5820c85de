"""An extent that a result covers or is cut to, in whatever coordinate reference system it comes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingParameterExtent,
    QgsRectangle,
    QgsReferencedRectangle,
)

from ..plugin.core.errors import InputError
from . import layers
from .translation import tr

if TYPE_CHECKING:
    from ..plugin.core.rasters.grids import Extent

_TEXT = re.compile(r"(?:[^,\[\]]*,){3}[^,\[\]]*(?:\[(?P<crs>.*)\]\s*)?")


@dataclass(frozen=True)
class GivenExtent:
    """Edges, and their system as a WKT.

    Attributes
    ----------
    edges : (xmin, ymin, xmax, ymax)
    crs : str
        Empty where the extent names none: then it is in that of the cells it cuts, or of the grid
        that is asked for, as QGIS takes it.
    project_crs : str
        What counts where there is neither; may be empty.
    """

    edges: Extent
    crs: str
    project_crs: str

    def within(self, crs: str) -> Extent:
        """Return the edges in a system, which an extent without one is in."""
        from ..plugin.core.rasters.grids import transform_extent

        return transform_extent(self.crs, crs, self.edges) if self.crs else self.edges

    def with_system(self, cure: str) -> tuple[Extent, str]:
        """Return edges and system, the project's where the extent names none."""
        crs = self.crs or self.project_crs
        if not crs:
            raise InputError("EXTENT has no coordinate system.", cure)
        return self.edges, crs


class ExtentParameter:
    """`EXTENT`, optional."""

    def declare_extent(self, *, advanced: bool = False) -> None:
        """Add the parameter."""
        extent = QgsProcessingParameterExtent("EXTENT", tr("Extent"), None, True)
        self.add(extent, advanced=advanced)

    def collect_extent(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        """Keep the extent with its own system; to be called in `collect`."""
        self._extent: GivenExtent | None = None
        if not self.given(parameters, "EXTENT"):
            return
        named = _names_system(parameters["EXTENT"])
        box = self.parameterAsExtent(parameters, "EXTENT", context)
        crs = layers.wkt_of(self.parameterAsExtentCrs(parameters, "EXTENT", context))
        edges = (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())
        self._extent = GivenExtent(edges, crs if named else "", crs)

    def read_extent(self) -> tuple[Extent, str] | None:
        """Return edges and system; None where no extent was given."""
        if self._extent is None:
            return None
        return self._extent.with_system("Add it, as in 5,9,50,53 [EPSG:4326].")


def _names_system(value: Any) -> bool:
    """Whether an extent comes with a system; for one that is not known QGIS takes the project's."""
    if isinstance(value, QgsReferencedRectangle):
        return value.crs().isValid()
    if isinstance(value, (QgsRectangle, QgsGeometry)):
        return False
    text = _TEXT.fullmatch(value) if isinstance(value, str) else None
    if text is None:  # a layer
        return True
    name = (text["crs"] or "").strip()
    if name and not QgsCoordinateReferenceSystem(name).isValid():
        raise InputError(
            f"EXTENT: '{name}' is not a known coordinate system.", "Name one as in [EPSG:4326]."
        )
    return bool(name)
