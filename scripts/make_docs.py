"""Write docs/algorithms: one page an algorithm, from its help and its parameters.

bash scripts/env.sh python scripts/make_docs.py
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import clone_package

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

TYPES = {
    "raster": "raster",
    "rasterDestination": "raster (.tif)",
    "multilayer": "rasters",
    "layer": "raster or vector layer",
    "band": "band",
    "source": "vector layer",
    "sink": "vector layer (.gpkg, .fgb, .geojson, .csv)",
    "file": "file",
    "fileDestination": "file",
    "folderDestination": "folder",
    "field": "field",
    "number": "number",
    "enum": "choice",
    "boolean": "yes or no",
    "string": "text",
    "crs": "coordinate system",
    "extent": "extent",
    "datetime": "date",
    "outputNumber": "number",
    "outputString": "text",
    "outputMultilayer": "list of rasters",
}


def main() -> int:
    """Write all pages into the folder named, by default the one of the clone."""
    root = clone_package.register()
    from qgis.core import QgsApplication

    application = QgsApplication([], False)
    application.initQgis()
    from soil_moisture_mapper.processing_provider.provider import SoilMoistureProvider

    provider = SoilMoistureProvider()
    provider.refreshAlgorithms()
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else root / "docs" / "algorithms"
    folder.mkdir(parents=True, exist_ok=True)
    pages = {algorithm.name(): page_of(algorithm) for algorithm in provider.algorithms()}
    pages["README"] = contents_of(provider.algorithms())
    for name, page in pages.items():
        (folder / f"{name}.md").write_text(page, encoding="utf-8")
    application.exitQgis()
    return 0


def contents_of(algorithms: list[Any]) -> str:
    """Return the list of pages in the groups of the toolbox."""
    from soil_moisture_mapper.processing_provider.algorithms import ALGORITHMS

    order = [algorithm.ID for algorithm in ALGORITHMS]
    lines = ["# Algorithms", "", "Made by `scripts/make_docs.py` from the help texts."]
    group = ""
    for algorithm in sorted(algorithms, key=lambda one: order.index(one.name())):
        if algorithm.group() != group:
            group = algorithm.group()
            lines += ["", f"## {group}", ""]
        summary = algorithm.shortDescription()
        lines.append(f"- [{algorithm.displayName()}]({algorithm.name()}.md): {summary}")
    return "\n".join([*lines, ""])


def page_of(algorithm: Any) -> str:
    """Return the page of an algorithm."""
    from soil_moisture_mapper.processing_provider.help import read_help

    texts = read_help(algorithm.name())
    parts = [
        f"# {algorithm.displayName()}",
        f"`{algorithm.id()}` · {algorithm.group()}",
        f"**{texts['summary']}**",
        *texts["description"],
        "## Parameters",
        "\n".join(parameter_lines(algorithm, texts)),
        "## Outputs",
        "\n".join(output_lines(algorithm, texts)),
        "## Example",
        f"```python\n{texts['example']}\n```",
    ]
    return "\n\n".join(part.replace("<i>", "*").replace("</i>", "*") for part in parts) + "\n"


def parameter_lines(algorithm: Any, texts: dict[str, Any]) -> list[str]:
    """Return the table of what goes in."""
    lines = ["| parameter | label | type | default | |", "|---|---|---|---|---|"]
    for definition in algorithm.parameterDefinitions():
        if definition.isDestination():
            continue
        kind, default = type_of(definition), default_of(definition)
        text = texts["parameters"][definition.name()].replace("|", "\\|")
        lines.append(
            f"| `{definition.name()}` | {definition.description()} | {kind} | {default} | {text} |"
        )
    return lines


def output_lines(algorithm: Any, texts: dict[str, Any]) -> list[str]:
    """Return the table of what comes out."""
    lines = ["| output | label | type | |", "|---|---|---|---|"]
    for output in algorithm.outputDefinitions():
        definition = algorithm.parameterDefinition(output.name())
        kind = type_of(definition) if definition else TYPES[output.type()]
        text = texts["outputs"][output.name()].replace("|", "\\|")
        lines.append(f"| `{output.name()}` | {output.description()} | {kind} | {text} |")
    return lines


def type_of(definition: Any) -> str:
    """Return what kind of value a parameter takes."""
    from qgis.core import Qgis

    kind = TYPES[definition.type()]
    if definition.type() == "enum":
        kind = " / ".join(definition.options())
        kind = f"several of {kind}" if definition.allowMultiple() else kind
    elif definition.type() == "field" and definition.allowMultiple():
        kind = "fields"
    elif definition.type() == "fileDestination":
        kind = f"file (.{definition.defaultFileExtension()})"
    if definition.flags() & Qgis.ProcessingParameterFlag.Optional:
        kind = f"{kind}, optional"
    return kind


def default_of(definition: Any) -> str:
    """Return the default as it is written in a call."""
    value = definition.defaultValue()
    if value is None:
        return ""
    if definition.type() == "enum" and definition.allowMultiple():
        return "all" if list(value) == definition.options() else ", ".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
