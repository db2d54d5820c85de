"""Which versions are at work, which packages are missing, and how to install them."""

from __future__ import annotations

import platform

from qgis.core import Qgis
from qgis.PyQt.QtCore import QT_VERSION_STR, Qt
from qgis.PyQt.QtGui import QGuiApplication
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..plugin.core.dependencies import (
    OPTIONAL,
    REQUIRED,
    install_hint,
    installed_version,
    missing_packages,
    missing_text,
    plugin_version,
)
from .translation import tr


def list_versions() -> list[tuple[str, str, str]]:
    """Return name, version and state of the plugin, QGIS, Python and every package."""
    missing = missing_packages()
    rows = [
        ("Soil Moisture Mapper", plugin_version(), ""),
        ("QGIS", Qgis.QGIS_VERSION, ""),
        ("Qt", QT_VERSION_STR, ""),
        ("Python", platform.python_version(), ""),
        (tr("System"), platform.platform(), ""),
    ]
    for package in REQUIRED:
        version = installed_version(package)
        state = tr("works")
        if package in missing:
            needed = tr("needed: {} or newer").format(package.minimum)
            state = f"{tr('missing') if version is None else tr('too old')}, {needed}"
        rows.append((package.name, version or "–", state))
    for package in OPTIONAL:
        version = installed_version(package)
        state = tr("works") if version else tr("optional: makes maps several times as fast")
        rows.append((package.name, version or "–", state))
    return rows


class VersionsDialog(QDialog):
    """Table of versions with a hint how to install what is missing, to be copied as text."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Versions and packages"))
        self.resize(620, 460)
        self._rows = list_versions()
        missing = missing_packages()
        self._hint = f"{missing_text(missing)} {install_hint(missing)}" if missing else ""
        layout = QVBoxLayout(self)
        layout.addWidget(self._make_table())
        note = QLabel(self._hint or tr("All packages that the algorithms need are there."))
        note.setWordWrap(True)
        note.setTextFormat(Qt.TextFormat.PlainText)
        note.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout.addWidget(note)
        layout.addWidget(self._make_buttons())

    def text(self) -> str:
        """Return what the dialog shows, one line a row."""
        lines = [" ".join(part for part in row if part) for row in self._rows]
        return "\n".join([*lines, self._hint] if self._hint else lines)

    def copy(self) -> None:
        """Put the text on the clipboard."""
        QGuiApplication.clipboard().setText(self.text())

    def _make_table(self) -> QTableWidget:
        table = QTableWidget(len(self._rows), 3, self)
        table.setHorizontalHeaderLabels([tr("Name"), tr("Version"), tr("State")])
        table.verticalHeader().setVisible(False)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        for number, row in enumerate(self._rows):
            for column, text in enumerate(row):
                table.setItem(number, column, QTableWidgetItem(text))
        header = table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        return table

    def _make_buttons(self) -> QDialogButtonBox:
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        copy = buttons.addButton(tr("Copy"), QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(lambda _checked=False: self.copy())
        buttons.rejected.connect(self.reject)
        return buttons
