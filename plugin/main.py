"""Life cycle of the plugin inside QGIS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import QgsApplication


class SoilMoistureMapper:
    """Registers the Processing provider and, where there is a main window, the menu.

    Parameters
    ----------
    iface : QgisInterface or None
        None in `qgis_process` and other programs without a main window.
    make_provider : callable
        Returns the Processing provider.
    make_menu : callable
        Takes `iface` and returns the menu, which has `add` and `remove`.
    """

    def __init__(
        self, iface: Any, make_provider: Callable[[], Any], make_menu: Callable[[Any], Any]
    ) -> None:
        self._iface = iface
        self._make_provider = make_provider
        self._make_menu = make_menu
        self._provider: Any = None
        self._menu: Any = None

    def initProcessing(self) -> None:
        """Add the provider; `qgis_process` calls this alone."""
        if self._provider is not None:
            return
        self._provider = self._make_provider()
        if QgsApplication.processingRegistry().addProvider(self._provider):
            # graphical models find their steps only now
            self._provider.refreshAlgorithms()

    def initGui(self) -> None:
        """Add provider and menu."""
        self.initProcessing()
        self._menu = self._make_menu(self._iface)
        self._menu.add()

    def unload(self) -> None:
        """Remove what was added."""
        if self._menu is not None:
            self._menu.remove()
            self._menu = None
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
            self._provider = None
