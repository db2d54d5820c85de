"""The plugin's menu."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from qgis import processing
from qgis.core import Qgis, QgsNotSupportedException, QgsProject
from qgis.PyQt.QtGui import QAction, QIcon
from qgis.PyQt.QtWidgets import QMenu

from .landscape import load_landscape
from .translation import tr
from .versions_dialog import VersionsDialog

ICONS = Path(__file__).resolve().parents[1] / "resources" / "icons"
TITLE = "Soil Moisture Mapper"
PROVIDER = "soilmoisture"
WHOLE_CHAIN = "Field moisture map"
"""Id of the graphical model that runs the chain in one dialog."""
STEPS = (
    ((WHOLE_CHAIN, "Field moisture map, all steps in one…", "plugin"),),
    (
        ("terraincovariates", "Terrain covariates…", "covariates"),
        ("temporalstatistics", "Temporal statistics…", "covariates"),
        ("covariatetable", "Covariate table…", "covariates"),
    ),
    (
        ("importstations", "Import stations…", "stations"),
        ("samplecovariates", "Sample covariates…", "stations"),
        ("splitstations", "Split stations…", "stations"),
        ("selectspiking", "Select spiking stations…", "stations"),
    ),
    (
        ("trainmodel", "Train model…", "models"),
        ("spikemodel", "Spike model…", "models"),
        ("validate", "Validate model…", "models"),
        ("modelcard", "Model card…", "models"),
    ),
    (
        ("predict", "Predict map…", "maps"),
        ("predictseries", "Predict series of maps…", "maps"),
    ),
)
"""Id, text and icon of the algorithms in the order of the work."""


class PluginMenu:
    """Opens the algorithms by id, loads the sample landscape and shows versions.

    Parameters
    ----------
    iface : QgisInterface
    """

    def __init__(self, iface: Any) -> None:
        self._iface = iface
        self.menu = QMenu(tr(TITLE))
        self.menu.setObjectName("soil_moisture_mapper_menu")
        self.menu.setIcon(_icon("plugin"))

    def add(self) -> None:
        """Fill the menu and put it among the plugins."""
        for group in STEPS:
            for name, text, icon in group:
                run = partial(self.open_algorithm, name)
                self._add_action(name, tr(text), _icon(icon), run)
            self.menu.addSeparator()
        self._add_action(
            "landscape", tr("Load the sample landscape"), _icon("plugin"), self.load_landscape
        )
        self._add_action("versions", tr("Versions and packages…"), QIcon(), self.show_versions)
        self._iface.pluginMenu().addMenu(self.menu)

    def remove(self) -> None:
        """Take the menu away."""
        self._iface.pluginMenu().removeAction(self.menu.menuAction())
        self.menu.deleteLater()

    def open_algorithm(self, name: str) -> None:
        """Open the dialog of an algorithm, or say that Processing is switched off."""
        try:
            processing.execAlgorithmDialog(f"{PROVIDER}:{name}")
        except QgsNotSupportedException:
            self._say(tr("Enable the plugin Processing first (Plugins, Manage)."))

    def load_landscape(self) -> None:
        """Add the layers of the sample landscape to the project."""
        added = load_landscape(QgsProject.instance())
        if not added:
            self._say(tr("The sample landscape does not come with this copy of the plugin."))

    def show_versions(self) -> None:
        """Show versions, and which packages are missing."""
        VersionsDialog(self._iface.mainWindow()).exec()

    def _add_action(self, name: str, text: str, icon: QIcon, run: Callable[[], None]) -> None:
        action = QAction(icon, text, self.menu)
        action.setObjectName(name)
        action.triggered.connect(lambda _checked=False: run())
        self.menu.addAction(action)

    def _say(self, text: str) -> None:
        self._iface.messageBar().pushMessage(tr(TITLE), text, Qgis.MessageLevel.Warning)


def _icon(name: str) -> QIcon:
    return QIcon(str(ICONS / f"{name}.svg"))
