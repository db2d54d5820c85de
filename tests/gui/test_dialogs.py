"""The menu, the dialogs of the plugin, and Processing's dialog of each algorithm."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qgis.core import (
    QgsApplication,
    QgsNotSupportedException,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QEventLoop, QTimer
from qgis.PyQt.QtGui import QGuiApplication
from qgis.PyQt.QtWidgets import QApplication, QDialogButtonBox, QLabel, QPushButton, QWidget

CHAIN = [
    "terraincovariates",
    "temporalstatistics",
    "covariatetable",
    "importstations",
    "samplecovariates",
    "splitstations",
    "selectspiking",
    "trainmodel",
    "spikemodel",
    "predict",
    "predictseries",
    "validate",
    "modelcard",
]


def show(widget: QWidget, path: Path) -> None:
    """Show a widget, let it paint, and keep a picture of it."""
    widget.show()
    loop = QEventLoop()
    QTimer.singleShot(150, loop.quit)
    loop.exec()
    picture = widget.grab()
    assert not picture.isNull()
    image = picture.toImage()
    colours = {
        image.pixel(x, y) for x in range(0, image.width(), 7) for y in range(0, image.height(), 7)
    }
    assert len(colours) > 3, "the dialog is blank"
    assert picture.save(str(path))


@pytest.fixture
def opened() -> Iterator[list[QWidget]]:
    """Widgets that are closed at the end."""
    widgets: list[QWidget] = []
    yield widgets
    for widget in widgets:
        widget.close()
        widget.deleteLater()


def test_menu_names_every_algorithm_of_the_chain(plugin: Any, iface: Any) -> None:
    (entry,) = iface.pluginMenu().actions()
    menu = entry.menu()
    assert menu.title() == "Soil Moisture Mapper"
    actions = [action for action in menu.actions() if not action.isSeparator()]
    names = [action.objectName() for action in actions]
    assert names[0] == "Field moisture map"
    assert sorted(names[1:-2]) == sorted(CHAIN)
    assert names[-2:] == ["landscape", "versions"]
    assert all(not action.icon().isNull() for action in actions[:-1])


def test_menu_entry_opens_the_dialog(
    plugin: Any, iface: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qgis import processing

    asked: list[str] = []
    monkeypatch.setattr(processing, "execAlgorithmDialog", asked.append)
    menu = iface.pluginMenu().actions()[0].menu()
    for action in menu.actions():
        if action.objectName() not in ("", "landscape", "versions"):
            action.trigger()
    expected = ["soilmoisture:Field moisture map", *(f"soilmoisture:{name}" for name in CHAIN)]
    assert sorted(asked) == sorted(expected)
    registry = QgsApplication.processingRegistry()
    assert all(registry.algorithmById(name) is not None for name in asked)


def test_menu_says_that_processing_is_off(
    plugin: Any, iface: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qgis import processing

    def refuse(name: str) -> None:
        raise QgsNotSupportedException(name)

    monkeypatch.setattr(processing, "execAlgorithmDialog", refuse)
    iface.pluginMenu().actions()[0].menu().actions()[0].trigger()
    item = iface.messageBar().currentItem()
    assert item.text() == "Enable the plugin Processing first (Plugins, Manage)."
    iface.messageBar().clearWidgets()


@pytest.mark.parametrize("name", [*CHAIN, "Field moisture map"])
def test_dialog_of_algorithm(plugin: Any, pictures: Path, opened: list[QWidget], name: str) -> None:
    import processing

    dialog = processing.createAlgorithmDialog(f"soilmoisture:{name}", {})
    opened.append(dialog)
    dialog.resize(1000, 760)
    show(dialog, pictures / f"{name}.png")
    algorithm = QgsApplication.processingRegistry().algorithmById(f"soilmoisture:{name}")
    assert dialog.windowTitle() == f"{algorithm.group()} - {algorithm.displayName()}"
    panel = dialog.mainWidget()
    inputs = {d.name() for d in algorithm.parameterDefinitions() if not d.isDestination()}
    assert set(panel.wrappers) >= inputs
    for definition in algorithm.parameterDefinitions():
        if definition.name() in panel.wrappers and definition.defaultValue() is not None:
            value = panel.wrappers[definition.name()].parameterValue()
            if definition.type() in ("number", "enum", "boolean", "string"):
                assert value == definition.defaultValue(), definition.name()


def test_versions_dialog(plugin: Any, pictures: Path, opened: list[QWidget]) -> None:
    from soil_moisture_mapper.ui.versions_dialog import VersionsDialog

    dialog = VersionsDialog()
    opened.append(dialog)
    show(dialog, pictures / "versions.png")
    for part in (
        "Soil Moisture Mapper 0.1.0",
        "QGIS 3.",
        "Python 3.",
        "rasterio ",
        "scikit-learn ",
        "numba ",
    ):
        assert part in dialog.text()
    labels = [label.text() for label in dialog.findChildren(QLabel)]
    assert "All packages that the algorithms need are there." in labels
    copy = next(b for b in dialog.findChildren(QPushButton) if "Copy" in b.text())
    copy.click()
    assert QGuiApplication.clipboard().text() == dialog.text()
    box = dialog.findChild(QDialogButtonBox)
    box.button(QDialogButtonBox.StandardButton.Close).click()
    assert not dialog.isVisible()


def test_versions_dialog_says_how_to_install(
    plugin: Any, pictures: Path, opened: list[QWidget], monkeypatch: pytest.MonkeyPatch
) -> None:
    from soil_moisture_mapper.ui.versions_dialog import VersionsDialog

    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, package=None: None if name == "rasterio" else find_spec(name, package),
    )
    dialog = VersionsDialog()
    opened.append(dialog)
    show(dialog, pictures / "versions_missing.png")
    assert "rasterio – missing, needed: 1.3 or newer" in dialog.text()
    assert "The Python package rasterio (1.3 or newer) is missing. To install, " in dialog.text()


def test_missing_package_is_told_in_toolbox_and_run(
    plugin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Algorithms stay in the toolbox, say what is missing, and refuse to run."""
    import processing
    from qgis.core import QgsProcessingException

    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, package=None: None if name == "sklearn" else find_spec(name, package),
    )
    algorithm = QgsApplication.processingRegistry().algorithmById("soilmoisture:modelcard")
    possible, reason = algorithm.canExecute()
    assert not possible
    assert reason.startswith("The Python package scikit-learn (1.2 or newer) is missing. ")
    terrain = QgsApplication.processingRegistry().algorithmById("soilmoisture:terraincovariates")
    assert terrain.canExecute() == (True, "")
    with pytest.raises(QgsProcessingException) as caught:
        processing.run("soilmoisture:modelcard", {"MODEL": "a.smm", "OUTPUT": "TEMPORARY_OUTPUT"})
    assert str(caught.value) == reason


def test_landscape_is_loaded_once(plugin: Any, iface: Any, pictures: Path) -> None:
    menu = iface.pluginMenu().actions()[0].menu()
    action = next(a for a in menu.actions() if a.objectName() == "landscape")
    action.trigger()
    first = len(QgsProject.instance().mapLayers())
    action.trigger()
    layers = QgsProject.instance().mapLayers().values()
    assert len(layers) == first > 5
    assert all(layer.isValid() for layer in layers)
    names = {layer.name() for layer in layers}
    assert {"stations", "probes", "boundary", "dem", "soil"} <= names
    points = next(layer for layer in layers if layer.name() == "probes")
    assert isinstance(points, QgsVectorLayer)
    assert points.crs().authid() == "EPSG:4326"
    assert points.featureCount() > 0
    assert any(isinstance(layer, QgsRasterLayer) for layer in layers)
    root = QgsProject.instance().layerTreeRoot()
    groups = [group.name() for group in root.findGroups()]
    assert groups == ["Sample landscape"]
    shown = [tree.name() for tree in root.findLayers() if tree.isVisible()]
    assert len(shown) < 20
    canvas = iface.mapCanvas()
    assert QgsProject.instance().crs().authid() == "EPSG:32633"
    canvas.setDestinationCrs(QgsProject.instance().crs())
    canvas.setLayers([tree.layer() for tree in root.findLayers() if tree.isVisible()])
    canvas.zoomToFullExtent()
    canvas.waitWhileRendering()
    show(iface.mainWindow(), pictures / "landscape.png")


def test_landscape_that_is_not_there_is_said(
    plugin: Any, iface: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from soil_moisture_mapper.ui import landscape

    project = QgsProject()
    assert landscape.load_landscape(project, tmp_path) == 0
    assert project.layerTreeRoot().children() == []


def test_plugin_can_be_unloaded_and_loaded_again(iface: Any, plugin: Any) -> None:
    plugin.unload()
    assert iface.pluginMenu().actions() == []
    assert QgsApplication.processingRegistry().providerById("soilmoisture") is None
    plugin.initGui()
    QApplication.processEvents()
    assert len(iface.pluginMenu().actions()) == 1
    assert QgsApplication.processingRegistry().providerById("soilmoisture") is not None
