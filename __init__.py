"""Soil Moisture Mapper: soil-moisture maps of a field with an interval around every pixel."""


def classFactory(iface):
    """Return the plugin; called by QGIS when the plugin is loaded."""
    from .plugin.main import SoilMoistureMapper
    from .processing_provider.provider import SoilMoistureProvider

    return SoilMoistureMapper(iface, SoilMoistureProvider, _make_menu)


def _make_menu(iface):
    from .ui.menu import PluginMenu

    return PluginMenu(iface)
