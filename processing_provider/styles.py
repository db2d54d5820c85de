"""Styles of the layers that QGIS opens after a run."""

from __future__ import annotations

from qgis.core import (
    Qgis,
    QgsCategorizedSymbolRenderer,
    QgsFeatureRenderer,
    QgsGraduatedSymbolRenderer,
    QgsMapLayer,
    QgsMarkerSymbol,
    QgsPalLayerSettings,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsRendererCategory,
    QgsRendererRange,
    QgsTextBufferSettings,
    QgsTextFormat,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
)
from qgis.PyQt import sip

ROLES = {"train": "#8c8c8c", "validate": "#1f78b4", "spike": "#d95f02"}
FOLDS = (
    "#4477aa",
    "#ee6677",
    "#228833",
    "#ccbb44",
    "#66ccee",
    "#aa3377",
    "#bbbbbb",
    "#994f00",
    "#005f60",
    "#332288",
)
RESIDUALS = (
    (-1.0, -0.1, "#8c510a", "below −0.10: much too dry"),
    (-0.1, -0.05, "#d8b365", "−0.10 to −0.05"),
    (-0.05, -0.02, "#f6e8c3", "−0.05 to −0.02"),
    (-0.02, 0.02, "#f7f7f7", "−0.02 to 0.02"),
    (0.02, 0.05, "#c7eae5", "0.02 to 0.05"),
    (0.05, 0.1, "#5ab4ac", "0.05 to 0.10"),
    (0.1, 1.0, "#01665e", "above 0.10: much too wet"),
)
"""Classes of predicted − measured, m³ m⁻³: lower bound, upper bound, colour, label."""


class StyleBeside(QgsProcessingLayerPostProcessorInterface):
    """Applies the style file beside a raster, which Processing leaves alone."""

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        layer.loadDefaultStyle()
        layer.triggerRepaint()


class StyleByField(QgsProcessingLayerPostProcessorInterface):
    """Colours points by the field that a run has written: role, fold, residual, rank."""

    def __init__(self, field: str) -> None:
        super().__init__()
        self._field = field

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        if not isinstance(layer, QgsVectorLayer) or not layer.isSpatial():
            return
        if layer.fields().indexOf(self._field) < 0:
            return
        if self._field == "rank":
            _label(layer, self._field)
        else:
            layer.setRenderer(_renderer(layer, self._field))
        layer.triggerRepaint()


def style_when_loaded(
    context: QgsProcessingContext, layer: str, processor: QgsProcessingLayerPostProcessorInterface
) -> None:
    """Let a processor style an output, where QGIS opens it after the run.

    The context deletes the processor when it goes, and keeps no Python object alive until then.
    """
    if not context.willLoadLayerOnCompletion(layer):
        return
    _waiting[:] = [one for one in _waiting if not sip.isdeleted(one)]
    _waiting.append(processor)
    context.layerToLoadOnCompletionDetails(layer).setPostProcessor(processor)


_waiting: list[QgsProcessingLayerPostProcessorInterface] = []


def _renderer(layer: QgsVectorLayer, field: str) -> QgsFeatureRenderer:
    if field == "residual":
        ranges = [
            QgsRendererRange(low, high, _symbol(colour), label)
            for low, high, colour, label in RESIDUALS
        ]
        return QgsGraduatedSymbolRenderer(field, ranges)
    values = sorted(layer.uniqueValues(layer.fields().indexOf(field)))
    colours = {value: FOLDS[i % len(FOLDS)] for i, value in enumerate(values)}
    if field == "role":
        colours = {value: ROLES.get(value, FOLDS[-1]) for value in values}
    return QgsCategorizedSymbolRenderer(
        field,
        [QgsRendererCategory(v, _symbol(colours[v]), f"{field} {v}") for v in values],
    )


def _symbol(colour: str) -> QgsMarkerSymbol:
    return QgsMarkerSymbol.createSimple(
        {"name": "circle", "color": colour, "outline_color": "#333333", "size": "3"}
    )


def _label(layer: QgsVectorLayer, field: str) -> None:
    layer.renderer().setSymbol(_symbol(ROLES["spike"]))
    settings = QgsPalLayerSettings()
    settings.fieldName = field
    settings.placement = Qgis.LabelPlacement.OrderedPositionsAroundPoint
    settings.dist = 2.0  # mm from the centre, beside the symbol
    text = QgsTextFormat()
    text.setSize(9)
    halo = QgsTextBufferSettings()
    halo.setEnabled(True)
    text.setBuffer(halo)
    settings.setFormat(text)
    layer.setLabeling(QgsVectorLayerSimpleLabeling(settings))
    layer.setLabelsEnabled(True)
