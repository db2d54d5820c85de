"""The area of a map as a parameter, and as points that stand for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeatureRequest,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingParameterMapLayer,
    QgsRasterLayer,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
)

from ..plugin.core.errors import InputError
from ..plugin.core.progress import Progress
from . import layers
from .parameters import whole
from .translation import tr

if TYPE_CHECKING:
    import numpy as np

    from ..plugin.core.stations.folds.distance_matching_domain import Domain

_SourceType = Qgis.ProcessingSourceType
_EQUAL_AREA = "EPSG:6933"


class DomainParameter:
    """`DOMAIN` and `DOMAIN_POINTS`: what is to be mapped, and how many points stand for it."""

    def declare_domain(self) -> None:
        """Add the parameters."""
        self._domain: Any = None
        kinds = [_SourceType.VectorPolygon, _SourceType.VectorPoint, _SourceType.Raster]
        label = tr("Area to be mapped")
        self.add(QgsProcessingParameterMapLayer("DOMAIN", label, None, True, kinds))
        self.add(
            whole("DOMAIN_POINTS", tr("Points in that area"), 1000, 50, 100_000), advanced=True
        )

    def collect_domain(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        """Keep what is needed of the layer; to be called in the main thread."""
        self._domain = None
        value = parameters.get("DOMAIN")
        if not layers.is_given(value):
            return
        layers.check_raster_texts("DOMAIN", value, context)
        layer = self.parameterAsLayer(parameters, "DOMAIN", context)
        if isinstance(layer, QgsRasterLayer):
            self._domain = layers.raster_input(layer, context, "DOMAIN")
        elif isinstance(layer, QgsVectorLayer) and layer.isSpatial():
            source = QgsVectorLayerFeatureSource(layer)
            self._domain = (source, layer.crs(), context.transformContext(), layer.geometryType())
        else:
            raise InputError(
                f"DOMAIN: '{value}' is no layer of polygons or points and no raster.",
                "Choose another layer.",
            )

    def read_domain(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        seed: int,
        progress: Progress,
    ) -> Domain | None:
        """Return points that stand for the area; None where none is given."""
        import numpy as np

        from ..plugin.core.stations.folds.distance_matching_domain import raster_domain

        if self._domain is None:
            return None
        count = self.parameterAsInt(parameters, "DOMAIN_POINTS", context)
        rng = np.random.default_rng(seed)
        if not isinstance(self._domain, tuple):
            return raster_domain(self._domain.path, count, rng, progress)
        source, crs, transforms, kind = self._domain
        if not crs.isValid():
            raise InputError(
                "DOMAIN has no coordinate reference system.", "Assign one (Layer Properties)."
            )
        if kind == Qgis.GeometryType.Point:
            return _points(source, crs, count, rng, progress)
        if kind == Qgis.GeometryType.Polygon:
            transform = QgsCoordinateTransform(
                crs, QgsCoordinateReferenceSystem(_EQUAL_AREA), transforms
            )
            return _inside(source, transform, count, rng, progress)
        raise InputError(
            "DOMAIN holds lines.", "Choose a layer of polygons or points, or a raster."
        )


def _geometries(source: Any, progress: Progress) -> list[QgsGeometry]:
    found = []
    for number, feature in enumerate(source.getFeatures(QgsFeatureRequest().setNoAttributes())):
        if number % layers.CHUNK == 0:
            progress.check()
        if not feature.geometry().isEmpty():
            found.append(feature.geometry())
    return found


def _points(
    source: Any,
    crs: QgsCoordinateReferenceSystem,
    count: int,
    rng: np.random.Generator,
    progress: Progress,
) -> Domain:
    import numpy as np

    from ..plugin.core.stations.folds.distance_matching_domain import point_domain

    places = [
        (vertex.x(), vertex.y())
        for geometry in _geometries(source, progress)
        for vertex in geometry.vertices()
    ]
    x, y = np.array(places, dtype=np.float64).reshape(-1, 2).T
    return point_domain(x, y, layers.wkt_of(crs), count, rng)


def _inside(
    source: Any,
    transform: QgsCoordinateTransform,
    count: int,
    rng: np.random.Generator,
    progress: Progress,
) -> Domain:
    """Draw points in polygons, evenly by their area on the ground."""
    import numpy as np

    from ..plugin.core.stations.folds.distance_matching_domain import polygon_domain

    polygons = []
    for geometry in _geometries(source, progress):
        shape = geometry if geometry.isGeosValid() else geometry.makeValid()
        try:
            shape.transform(transform)
        except QgsCsException as error:
            raise InputError(
                f"DOMAIN: a polygon cannot be brought to an equal-area system: {error}.",
                "Check the layer's coordinate system.",
            ) from error
        polygons.append(shape)
    seeds = rng.integers(1, 2**31 - 1, len(polygons))

    def draw(place: int, share: int) -> tuple[np.ndarray, np.ndarray]:
        progress.check()
        points = polygons[place].randomPointsInPolygon(share, int(seeds[place]))
        return np.array([p.x() for p in points]), np.array([p.y() for p in points])

    areas = np.array([shape.area() for shape in polygons])
    return polygon_domain(areas, draw, _EQUAL_AREA, count, rng)
