"""The sample landscape as layers of a project."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer, QgsVectorLayer

from .translation import tr

FOLDER = Path(__file__).resolve().parents[1] / "resources" / "landscape"
GROUP = "Sample landscape"
_VECTORS = {".gpkg", ".geojson", ".fgb"}


def load_landscape(project: QgsProject, folder: Path = FOLDER) -> list[QgsMapLayer]:
    """Add the points, polygons and rasters of the landscape to a project, in a group of their own.

    A landscape that is in the project already is replaced. Returns the layers added, points and
    polygons above rasters; none where the landscape is missing.
    """
    layers = [layer for layer in _open_layers(folder) if layer.isValid()]
    if not layers:
        return []
    root = project.layerTreeRoot()
    title = tr(GROUP)
    earlier = root.findGroup(title)
    if earlier is not None:
        project.removeMapLayers([tree.layerId() for tree in earlier.findLayers()])
        root.removeChildNode(earlier)
    group = root.insertGroup(0, title)
    for layer in layers:
        project.addMapLayer(layer, False)
        group.addLayer(layer).setExpanded(False)
    return layers


def _open_layers(folder: Path) -> list[QgsMapLayer]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    vectors = [
        QgsVectorLayer(str(path), path.stem, "ogr")
        for path in files
        if path.suffix.lower() in _VECTORS
    ]
    rasters = [
        QgsRasterLayer(str(path), path.stem) for path in files if path.suffix.lower() == ".tif"
    ]
    return [*vectors, *rasters]
