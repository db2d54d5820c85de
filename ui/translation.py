"""Texts of menu and dialogs in the user's language."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication


def tr(text: str) -> str:
    """Return `text` in the language QGIS runs in, where it has been translated."""
    return QCoreApplication.translate("SoilMoistureMapper", text)
