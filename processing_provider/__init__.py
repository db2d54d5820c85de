"""The QGIS Processing provider."""
