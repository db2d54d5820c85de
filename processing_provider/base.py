"""What all algorithms share: help, errors, packages, and the way values reach the core."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingDestinationParameter,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterRasterLayer,
)
from qgis.PyQt.QtGui import QIcon

from ..plugin.core.dependencies import install_hint, missing_packages, missing_text, require
from ..plugin.core.errors import InputError, PluginError
from ..plugin.core.progress import Progress
from . import layers, sinks
from .feedback import FeedbackProgress
from .help import format_help, read_help
from .styles import StyleBeside, StyleByField, style_when_loaded
from .translation import tr

ICONS = Path(__file__).resolve().parents[1] / "resources" / "icons"
GROUPS = {
    "covariates": "Covariates",
    "stations": "Stations",
    "models": "Models",
    "maps": "Maps",
}


class SoilMoistureAlgorithm(QgsProcessingAlgorithm):
    """Base of all algorithms.

    A leaf sets the class attributes and implements `declare` and `compute`; `collect` where it
    needs more of a layer than rows, paths and keys, which the base reads by itself.

    Attributes
    ----------
    ID, TITLE, GROUP, TAGS : str
        Name, title, key of `GROUPS`, comma-separated search words.
    PACKAGES : tuple of str
        Modules the core needs for this algorithm.
    """

    ID = ""
    TITLE = ""
    GROUP = ""
    TAGS = ""
    PACKAGES: tuple[str, ...] = ("numpy", "scipy", "rasterio")

    def __init__(self) -> None:
        super().__init__()
        self._failure: PluginError | None = None
        self._keys: dict[str, layers.LayerKeys] = {}
        self._rasters: dict[str, list[Any]] = {}
        self._outputs = ExitStack()

    # hooks

    def declare(self) -> None:
        """Add parameters and outputs with `add` and `add_output`."""
        raise NotImplementedError

    def collect(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        """Read in the main thread what needs a layer object."""

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        """Do the work and return the outputs."""
        raise NotImplementedError

    # for leaves

    def add(self, parameter: QgsProcessingParameterDefinition, *, advanced: bool = False) -> None:
        """Add a parameter with its help as tooltip."""
        texts = read_help(self.ID)
        name = parameter.name()
        parameter.setHelp(texts["parameters"].get(name) or texts["outputs"].get(name, ""))
        if advanced:
            parameter.setFlags(parameter.flags() | Qgis.ProcessingParameterFlag.Advanced)
        self.addParameter(parameter)

    def add_output(self, output: QgsProcessingOutputDefinition) -> None:
        """Add an output that has no destination of its own."""
        self.addOutput(output)

    def given(self, parameters: dict[str, Any], name: str) -> bool:
        """Whether a value was given for a parameter that may be left out."""
        return layers.is_given(parameters.get(name))

    def text(
        self, parameters: dict[str, Any], name: str, context: QgsProcessingContext
    ) -> str | None:
        """Return a text or a field name; None where it is empty."""
        return self.parameterAsString(parameters, name, context).strip() or None

    def fields(
        self, parameters: dict[str, Any], name: str, context: QgsProcessingContext
    ) -> list[str]:
        """Return the field names of a parameter that takes several."""
        definition = self.parameterDefinition(name)
        value = parameters.get(name, definition.defaultValue())
        if not layers.is_given(value):
            return []
        if isinstance(value, str):
            return [part.strip() for part in value.split(";") if part.strip()]
        return [str(part) for part in value]

    def file(
        self, parameters: dict[str, Any], name: str, context: QgsProcessingContext
    ) -> Path | None:
        """Return the path of a file parameter; None where it is empty."""
        path = self.parameterAsFile(parameters, name, context)
        return Path(path) if path else None

    def destination(
        self, parameters: dict[str, Any], name: str, context: QgsProcessingContext
    ) -> Path | None:
        """Return where a file or folder is to be written; None where it is not wanted."""
        path = self.parameterAsFileOutput(parameters, name, context)
        return Path(path) if path else None

    def polygons(
        self,
        parameters: dict[str, Any],
        name: str,
        crs: str,
        context: QgsProcessingContext,
        progress: Progress,
        cure: str = "",
    ) -> list[dict[str, Any]] | None:
        """Return the polygons of a layer in a system (WKT); None where none is given."""
        if not self.given(parameters, name):
            return None
        source = self.parameterAsSource(parameters, name, context)
        if source is None:
            raise InputError(f"{name} cannot be read.", "Choose a polygon layer.")
        return layers.mask_geometries(source, crs, context, progress, name, cure)

    def save(
        self,
        parameters: dict[str, Any],
        name: str,
        context: QgsProcessingContext,
        write: Callable[[Path], Any],
    ) -> dict[str, str]:
        """Write a file where it is wanted; return the output by name, nothing if not wanted."""
        path = self.destination(parameters, name, context)
        if path is None:
            return {}
        write(path)
        return {name: str(path)}

    def raster_destination(
        self, parameters: dict[str, Any], name: str, context: QgsProcessingContext
    ) -> Path | None:
        """Return where a raster is to be written; None where it is not wanted."""
        path = self.parameterAsOutputLayer(parameters, name, context)
        if path:
            style_when_loaded(context, path, StyleBeside())
        return Path(path) if path else None

    def rasters(self, name: str) -> list[Any]:
        """Return the raster inputs of a parameter, which the base has collected."""
        return self._rasters.get(name, [])

    def threads(self, context: QgsProcessingContext) -> int:
        """Return how many threads the user lets an algorithm use."""
        return max(context.maximumThreads(), 1)

    def table(
        self,
        parameters: dict[str, Any],
        name: str,
        context: QgsProcessingContext,
        progress: Progress,
    ) -> layers.SourceTable:
        """Read the rows of a vector input."""
        source = self.parameterAsSource(parameters, name, context)
        if source is None:
            raise QgsProcessingException(self.invalidSourceError(parameters, name))
        return layers.read_table(source, self._keys.get(name, layers.LayerKeys()), progress)

    def write(
        self,
        parameters: dict[str, Any],
        name: str,
        context: QgsProcessingContext,
        table: Any,
        types: dict[str, Any],
        progress: Progress,
        style: str = "",
    ) -> dict[str, str]:
        """Write a table to a vector output; return the output by name, nothing if not wanted.

        Where QGIS opens it, its points are coloured by the field `style` (see `StyleByField`).
        Files are written under a temporary name and renamed when the whole run has gone well;
        memory layers and database tables are written as QGIS does.
        """
        value = parameters.get(name)
        if not layers.is_given(value):
            return {}
        if isinstance(value, QgsProcessingOutputLayerDefinition):
            value = value.sink.valueAsString(context.expressionContext(), "")[0]
        if value == "TEMPORARY_OUTPUT":
            value = self.parameterDefinition(name).generateTemporaryDestination(context)
        if not sinks.is_file(str(value)):
            written = self._write_sink(parameters, name, context, table, types, progress)
        else:
            written = self.parameterAsOutputLayer(parameters, name, context)
            sinks.write_file(table, types, Path(written), self._outputs, progress)
        if style:
            style_when_loaded(context, written, StyleByField(style))
        return {name: written}

    # QGIS

    def createInstance(self) -> SoilMoistureAlgorithm:
        return type(self)()

    def name(self) -> str:
        return self.ID

    def displayName(self) -> str:
        return tr(self.TITLE)

    def group(self) -> str:
        return tr(GROUPS[self.GROUP])

    def groupId(self) -> str:
        return self.GROUP

    def tags(self) -> list[str]:
        return [word.strip() for word in self.TAGS.split(",")]

    def icon(self) -> QIcon:
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:
        return str(ICONS / f"{self.GROUP}.svg")

    def shortDescription(self) -> str:
        return tr(read_help(self.ID)["summary"])

    def shortHelpString(self) -> str:
        return format_help(self)

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.declare()

    def canExecute(self) -> tuple[bool, str]:
        missing = missing_packages(self.PACKAGES)
        if missing:
            return False, f"{missing_text(missing)} {install_hint(missing)}"
        return True, ""

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        ready = not missing_packages(self.PACKAGES)
        for definition in self.parameterDefinitions():
            if not ready or not _holds_rasters(definition):
                continue
            try:
                name = definition.name()
                layers.check_raster_texts(name, parameters.get(name), context)
            except InputError as error:
                return False, str(error)
        for definition in self.destinationParameterDefinitions():
            value = parameters.get(definition.name())
            folder = isinstance(definition, QgsProcessingParameterFolderDestination)
            if folder or not layers.is_given(value):
                continue
            supported, message = definition.isSupportedOutputValue(value, context)
            if not supported:
                return False, f"{definition.name()}: {message}{_cure_of(definition)}"
        return super().checkParameterValues(self._with_short_lists(parameters), context)

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        """Collect in the main thread what needs layer objects.

        What goes wrong is kept for `processAlgorithm`: a message raised here is lost to callers
        of `processing.run`.
        """
        try:
            if not missing_packages(self.PACKAGES):
                self._collect_layers(parameters, context)
                self.collect(parameters, context)
        except PluginError as error:
            self._failure = error
        return True

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        try:
            require(*self.PACKAGES)
            if self._failure is not None:
                raise self._failure
            progress = FeedbackProgress(feedback)
            progress.check()
            with ExitStack() as self._outputs:
                return self.compute(parameters, context, progress)
        except PluginError as error:
            raise QgsProcessingException(str(error)) from error
        except (OSError, MemoryError) as error:
            raise QgsProcessingException(f"{type(error).__name__}: {error}") from error

    def _with_short_lists(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Leave QGIS one raster of each list to check: it would open every one of thousands."""
        short = dict(parameters)
        for definition in self.parameterDefinitions():
            value = short.get(definition.name())
            if isinstance(value, (list, tuple)) and _holds_rasters(definition):
                short[definition.name()] = layers.flat_items(value)[:1]
        return short

    def _collect_layers(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        for definition in self.parameterDefinitions():
            name = definition.name()
            value = parameters.get(name)
            if not layers.is_given(value):
                continue
            if isinstance(definition, QgsProcessingParameterFeatureSource):
                layer = self.parameterAsVectorLayer(parameters, name, context)
                self._keys[name] = layers.layer_keys(layer)
            elif _holds_rasters(definition):
                items = layers.flat_items(value)
                self._rasters[name] = [layers.raster_input(i, context, name) for i in items]

    def _write_sink(
        self,
        parameters: dict[str, Any],
        name: str,
        context: QgsProcessingContext,
        table: Any,
        types: dict[str, Any],
        progress: Progress,
    ) -> str:
        with_points = bool(table.crs)
        fields = sinks.layer_fields(table, types)
        kind = Qgis.WkbType.Point if with_points else Qgis.WkbType.NoGeometry
        crs = layers.crs_of(table.crs)
        sink, identifier = self.parameterAsSink(parameters, name, context, fields, kind, crs)
        if sink is None:
            raise QgsProcessingException(self.invalidSinkError(parameters, name))
        try:
            sinks.write_features(table, fields, with_points, sink, progress, sink.lastError)
            if not sink.flushBuffer():
                raise InputError(f"{name}: the rows could not be written: {sink.lastError()}")
        except BaseException as error:
            traceback.clear_frames(error.__traceback__)  # they would keep the layer open
            raise
        finally:
            del sink  # closes the layer
        return identifier


def _holds_rasters(definition: QgsProcessingParameterDefinition) -> bool:
    if isinstance(definition, QgsProcessingParameterMultipleLayers):
        return definition.layerType() == Qgis.ProcessingSourceType.Raster
    return isinstance(definition, QgsProcessingParameterRasterLayer)


def _cure_of(definition: QgsProcessingDestinationParameter) -> str:
    """Return a sentence with the extensions that a layer output can have."""
    for kind in ("Raster", "Vector"):
        extensions = getattr(definition, f"supportedOutput{kind}LayerExtensions", None)
        if extensions is not None:
            return f". Use {' or '.join('.' + one for one in extensions())}."
    return ""
