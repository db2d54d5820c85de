"""The sample landscape as layers of a project."""

from __future__ import annotations

from pathlib import Path

from qgis.core import (
    QgsLayerTreeGroup,
    QgsMapLayer,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QUrl, QUrlQuery

from .translation import tr

FOLDER = Path(__file__).resolve().parents[1] / "resources" / "landscape"
GROUP = "Sample landscape"
PARTS = ("field", "region", "coarse", "truth")
"""Folders of the landscape, the uppermost first."""


def load_landscape(project: QgsProject, folder: Path = FOLDER) -> int:
    """Add points, boundary and rasters of the landscape to a project, in a group of their own.

    Series of dated rasters are switched off, each in a group below. A landscape that is in the
    project already is replaced; an empty project takes the landscape's coordinate system. Returns
    the number of layers added; 0 where there is none.
    """
    was_empty = not project.mapLayers()
    root = project.layerTreeRoot()
    title = tr(GROUP)
    earlier = root.findGroup(title)
    if earlier is not None:
        project.removeMapLayers([tree.layerId() for tree in earlier.findLayers()])
        root.removeChildNode(earlier)
    group = root.insertGroup(0, title)
    added = _add(project, group, [_open_points(path) for path in sorted(folder.glob("*.csv"))])
    for part in PARTS:
        added += _add_folder(project, group, folder / part)
    if not added:
        root.removeChildNode(group)
    projected = [layer for layer in project.mapLayers().values() if not layer.crs().isGeographic()]
    if was_empty and projected:
        project.setCrs(projected[0].crs())
    return added


def _add_folder(project: QgsProject, group: QgsLayerTreeGroup, folder: Path) -> int:
    if not folder.is_dir():
        return 0
    own = group.addGroup(folder.name)
    files = [*sorted(folder.glob("*.geojson")), *sorted(folder.glob("*.tif"))]
    added = _add(project, own, [_open_file(path) for path in files])
    if len(files) > 1 and all(path.suffix == ".tif" for path in files):
        _switch_off(own)
    for below in sorted(path for path in folder.iterdir() if path.is_dir()):
        added += _add_folder(project, own, below)
    own.setExpanded(False)
    return added


def _switch_off(group: QgsLayerTreeGroup) -> None:
    """Switch a group off where its rasters are of many days."""
    names = [layer.name() for layer in group.findLayers()]
    if all(name[-8:].isdigit() for name in names):
        group.setItemVisibilityChecked(False)


def _add(project: QgsProject, group: QgsLayerTreeGroup, layers: list[QgsMapLayer]) -> int:
    valid = [layer for layer in layers if layer.isValid()]
    for layer in valid:
        project.addMapLayer(layer, False)
        group.addLayer(layer).setExpanded(False)
    return len(valid)


def _open_file(path: Path) -> QgsMapLayer:
    if path.suffix == ".tif":
        return QgsRasterLayer(str(path), path.stem)
    return QgsVectorLayer(str(path), path.stem, "ogr")


def _open_points(path: Path) -> QgsVectorLayer:
    """Open a table of readings with degrees in the columns x and y."""
    query = QUrlQuery()
    for key, value in (
        ("delimiter", ","),
        ("xField", "x"),
        ("yField", "y"),
        ("crs", "EPSG:4326"),
        ("detectTypes", "yes"),
    ):
        query.addQueryItem(key, value)
    address = QUrl.fromLocalFile(str(path))
    address.setQuery(query)
    source = bytes(address.toEncoded()).decode("ascii")
    return QgsVectorLayer(source, path.stem, "delimitedtext")
