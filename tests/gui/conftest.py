"""QGIS with widgets and a main window of its own; meant to run under Xvfb."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# ruff: noqa: E402
_PROFILE = tempfile.mkdtemp(prefix="soil-moisture-gui-")
for _variable in (
    "QGIS_CUSTOM_CONFIG_PATH",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
):
    os.environ.setdefault(_variable, _PROFILE)
if "DISPLAY" not in os.environ:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"

from qgis.core import QgsApplication, QgsLayerTreeModel, QgsProject
from qgis.gui import QgsBrowserGuiModel, QgsLayerTreeView, QgsMapCanvas, QgsMessageBar
from qgis.PyQt import sip
from qgis.PyQt.QtWidgets import QMainWindow


class Interface:
    """What the plugin and Processing's dialogs ask of QGIS's main window."""

    def __init__(self) -> None:
        self._window = QMainWindow()
        self._window.resize(1000, 700)
        self._canvas = QgsMapCanvas(self._window)
        self._window.setCentralWidget(self._canvas)
        self._bar = QgsMessageBar(self._window)
        self._browser = QgsBrowserGuiModel(self._window)
        self._tree = QgsLayerTreeView(self._window)
        self._tree.setModel(QgsLayerTreeModel(QgsProject.instance().layerTreeRoot(), self._tree))
        self._plugins = self._window.menuBar().addMenu("Plugins")

    def close(self) -> None:
        """Delete the window and what it holds while the application still lives."""
        self._window.close()
        sip.delete(self._window)

    def mainWindow(self) -> QMainWindow:
        return self._window

    def pluginMenu(self) -> Any:
        return self._plugins

    def messageBar(self) -> QgsMessageBar:
        return self._bar

    def mapCanvas(self) -> QgsMapCanvas:
        return self._canvas

    def browserModel(self) -> QgsBrowserGuiModel:
        return self._browser

    def layerTreeView(self) -> QgsLayerTreeView:
        return self._tree

    def activeLayer(self) -> Any:
        return self._tree.currentLayer()

    def setActiveLayer(self, layer: Any) -> None:
        self._tree.setCurrentLayer(layer)

    def messageTimeout(self) -> int:
        return 5


@pytest.fixture(scope="session")
def iface() -> Iterator[Interface]:
    """QGIS with Processing, and its main window."""
    application = QgsApplication([], True)
    application.initQgis()
    sys.path.append(str(Path(QgsApplication.pkgDataPath()) / "python" / "plugins"))
    import qgis.utils

    interface = Interface()
    qgis.utils.iface = interface
    from processing.core.Processing import Processing

    Processing.initialize()
    yield interface
    QgsProject.instance().clear()
    qgis.utils.iface = None
    interface.close()
    shutil.rmtree(_PROFILE, ignore_errors=True)


@pytest.fixture(scope="session")
def plugin(iface: Interface) -> Iterator[Any]:
    """The plugin as QGIS loads it."""
    import soil_moisture_mapper

    loaded = soil_moisture_mapper.classFactory(iface)
    loaded.initGui()
    yield loaded
    loaded.unload()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of dialogs go: $SOIL_MOISTURE_PICTURES, or a temporary folder."""
    chosen = os.environ.get("SOIL_MOISTURE_PICTURES")
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
