"""Soil Moisture Mapper: soil-moisture maps of a field with an interval around every pixel."""


def classFactory(iface):
    """Return the plugin; called by QGIS when the plugin is loaded."""
    from .plugin.main import SoilMoistureMapper

    return SoilMoistureMapper(iface)
