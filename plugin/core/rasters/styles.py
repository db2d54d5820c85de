"""QGIS styles (.qml) that lie beside the rasters."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Sequence

STYLES = Path(__file__).resolve().parents[3] / "resources" / "styles"
MOISTURE_STYLE = STYLES / "moisture.qml"

_HEAD = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
# Viridis at equal steps: ordered in grey and for the colour-blind.
_RAMP = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")


def continuous_style(
    minimum: float, maximum: float, *, band: int = 1, colours: Sequence[str] = _RAMP
) -> str:
    """Return a style that shades one band from `minimum` to `maximum`."""
    if maximum <= minimum:
        maximum = minimum + 1.0
    step = (maximum - minimum) / (len(colours) - 1)
    items = "".join(
        f'<item value="{minimum + step * index:.10g}" '
        f'label="{minimum + step * index:.4g}" color="{colour}" alpha="255"/>'
        for index, colour in enumerate(colours)
    )
    renderer = (
        f'<rasterrenderer type="singlebandpseudocolor" band="{band}" opacity="1" alphaBand="-1" '
        f'classificationMin="{minimum:.10g}" classificationMax="{maximum:.10g}" nodataColor="">'
        "<rastershader>"
        f'<colorrampshader colorRampType="INTERPOLATED" classificationMode="1" clip="0" '
        f'minimumValue="{minimum:.10g}" maximumValue="{maximum:.10g}">{items}</colorrampshader>'
        "</rastershader></rasterrenderer>"
    )
    return _document(renderer)


def paletted_style(classes: Sequence[tuple[int, str, str]], *, band: int = 1) -> str:
    """Return a style with a legend of codes: (value, label, colour)."""
    entries = "".join(
        f'<paletteEntry value="{value}" label="{escape(label)}" color="{colour}" alpha="255"/>'
        for value, label, colour in classes
    )
    return _document(
        f'<rasterrenderer type="paletted" band="{band}" opacity="1" alphaBand="-1" '
        f'nodataColor=""><colorPalette>{entries}</colorPalette></rasterrenderer>'
    )


def _document(renderer: str) -> str:
    return (
        f'{_HEAD}<qgis version="3.40.0" styleCategories="Symbology" hasScaleBasedVisibilityFlag='
        f'"0"><pipe>{renderer}<brightnesscontrast brightness="0" contrast="0" gamma="1"/>'
        '<huesaturation colorizeOn="0" grayscaleMode="0" saturation="0"/>'
        '<rasterresampler maxOversampling="2"/></pipe><blendMode>0</blendMode></qgis>\n'
    )
