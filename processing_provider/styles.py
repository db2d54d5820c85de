"""Styles of the rasters that QGIS opens after a run."""

from __future__ import annotations

from qgis.core import (
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
)


class StyleBeside(QgsProcessingLayerPostProcessorInterface):
    """Applies the style file beside a raster, which Processing leaves alone."""

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        layer.loadDefaultStyle()
        layer.triggerRepaint()


STYLE_BESIDE = StyleBeside()
"""Lives as long as the plugin: QGIS keeps no reference to it."""
