"""Parts of the graphical models: inputs, steps, outputs and boxes, with places on a grid.

Places are columns and rows of the diagram.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from qgis.core import QgsProcessingModelChildParameterSource, QgsProcessingParameterDefinition

Source = QgsProcessingModelChildParameterSource


@dataclass(frozen=True)
class Input:
    """An input of a model: its parameter, place in the diagram, and help."""

    parameter: QgsProcessingParameterDefinition
    place: tuple[float, float]
    help: str
    advanced: bool = False


@dataclass(frozen=True)
class Output:
    """An output of a step that the model gives: name of the step's output, title and help."""

    source: str
    title: str
    help: str
    place: tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A coloured box behind a part of the diagram: title, left, top, width, height, colour."""

    title: str
    place: tuple[float, float, float, float]
    colour: str


@dataclass(frozen=True)
class Step:
    """A step: algorithm, what it is there for, its place, its inputs, and what the model keeps."""

    algorithm: str
    title: str
    place: tuple[float, float]
    inputs: dict[str, Any]
    outputs: dict[str, Output] = field(default_factory=dict)


def given(name: str) -> Source:
    """Take an input of the model."""
    return Source.fromModelParameter(name)


def made(step: str, output: str = "OUTPUT") -> Source:
    """Take what a step made."""
    return Source.fromChildOutput(step, output)


@dataclass(frozen=True)
class Diagram:
    """A graphical model: what it is called, what it says of itself, and its parts.

    Attributes
    ----------
    title : str
        Its title and id.
    group : str
        The group of the toolbox.
    summary : str
        What it does; the text before the first colon is its short description.
    """

    title: str
    group: str
    summary: str
    inputs: tuple[Input, ...]
    steps: dict[str, Step]
    boxes: tuple[Box, ...] = ()
