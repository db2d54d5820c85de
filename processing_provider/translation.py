"""Texts of the provider in the user's language."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication

CONTEXT = "SoilMoistureMapper"


def tr(text: str) -> str:
    """Return `text` in the language QGIS runs in, where it has been translated."""
    return QCoreApplication.translate(CONTEXT, text)
