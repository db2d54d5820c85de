"""Help texts of the algorithms: one JSON file each, shown in the toolbox, as tooltips and docs."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingAlgorithm, QgsProcessingUtils

FOLDER = Path(__file__).resolve().parents[1] / "resources" / "help"


@cache
def read_help(algorithm_name: str) -> dict[str, Any]:
    """Return the help of an algorithm.

    Keys: `summary` (one sentence), `description` (paragraphs), `parameters` and `outputs` (text
    by name), `example` (Python).
    """
    return json.loads((FOLDER / f"{algorithm_name}.json").read_text(encoding="utf-8"))


def format_help(algorithm: QgsProcessingAlgorithm) -> str:
    """Return the help of an algorithm as HTML, as the toolbox shows it."""
    texts = read_help(algorithm.name())
    entries = {**texts["parameters"], **texts["outputs"]}
    entries["ALG_DESC"] = "</p><p>".join(texts["description"])
    entries["EXAMPLES"] = f"<pre>{texts['example']}</pre>"
    return QgsProcessingUtils.formatHelpMapAsHtml(entries, algorithm)
