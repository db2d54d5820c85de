"""QGIS layers and sources as core values: tables of points, raster paths, polygons, grids."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import (
    NULL,
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeature,
    QgsFeatureRequest,
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeatureSource,
    QgsProcessingUtils,
    QgsProperty,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsVariantUtils,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QDate, QDateTime, QMetaType, Qt

from ..plugin.core.errors import InputError, RasterError
from ..plugin.core.progress import Progress

if TYPE_CHECKING:
    from ..plugin.core.covariates.table import RasterInput
    from ..plugin.core.stations.table import Table

CHUNK = 2000
"""Rows between two looks at whether the user stopped the run."""

INTEGER_TYPES = frozenset(
    {
        QMetaType.Type.Int,
        QMetaType.Type.UInt,
        QMetaType.Type.LongLong,
        QMetaType.Type.ULongLong,
        QMetaType.Type.Short,
        QMetaType.Type.UShort,
    }
)
_NUMBER_TYPES = INTEGER_TYPES | {QMetaType.Type.Double, QMetaType.Type.Float, QMetaType.Type.Bool}
_TEXT_TYPES = frozenset({QMetaType.Type.QString, QMetaType.Type.QChar, QMetaType.Type.QTime})
_EXACT_INTEGER = 2**53


@dataclass(frozen=True)
class LayerKeys:
    """What only the layer object knows of a source: its key fields and its format.

    Parameters
    ----------
    primary_key : tuple of str
        Names of the fields that identify a row.
    from_csv : bool
        Whether the layer is a text table, whose fields may hold numbers as text.
    """

    primary_key: tuple[str, ...] = ()
    from_csv: bool = False


@dataclass(frozen=True)
class SourceTable:
    """A source as a core table, with what a table does not hold.

    Parameters
    ----------
    table : Table
    keys : LayerKeys
    types : dict of str to QMetaType.Type
        Types of the fields in the source, so that they are written as they were.
    name : str
        What QGIS calls the source.
    """

    table: Table
    keys: LayerKeys = field(default_factory=LayerKeys)
    types: dict[str, Any] = field(default_factory=dict)
    name: str = ""


def layer_keys(layer: QgsVectorLayer | None) -> LayerKeys:
    """Return key fields and format of a vector layer; to be called in the main thread."""
    if layer is None:
        return LayerKeys()
    fields = layer.fields()
    names = tuple(fields.at(index).name() for index in layer.primaryKeyAttributes())
    text_table = layer.providerType() == "delimitedtext" or layer.storageType() == "CSV"
    return LayerKeys(names, text_table)


def read_table(
    source: QgsProcessingFeatureSource, keys: LayerKeys, progress: Progress
) -> SourceTable:
    """Read a source into a core table, in chunks.

    NULL becomes NaN, '' or NaT. A field `fid` and the geometry column of a text table are left
    out, and so are fields that hold neither numbers, texts nor dates, with a note. Rows that are
    no single points take the centroid of their shape as position.
    """
    from ..plugin.core.stations.table import Table

    fields = source.fields()
    indices = []
    for index in range(fields.count()):
        one = fields.at(index)
        if one.name().lower() == "fid" or (keys.from_csv and one.name() == "WKT"):
            continue
        if one.type() in _NUMBER_TYPES or one.type() in _TEXT_TYPES or _is_date(one.type()):
            indices.append(index)
        else:
            progress.info(f"The field '{one.name()}' of type {one.typeName()} is not passed on.")
    x, y, values = _read_rows(source, indices, progress)
    columns = {}
    for index, column in zip(indices, values):
        columns[fields.at(index).name()] = _core_column(column, fields.at(index).type())
    types = {fields.at(index).name(): fields.at(index).type() for index in indices}
    has_points = source.wkbType() != Qgis.WkbType.NoGeometry
    table = Table(columns, x, y, wkt_of(source.sourceCrs()) if has_points else "")
    return SourceTable(table, keys, types, source.sourceName())


def raster_input(value: Any, context: QgsProcessingContext, name: str) -> RasterInput:
    """Return path and date of a raster layer, or of a text that names a layer or a file.

    A text that is no layer of the project is taken as a path, without QGIS opening it.

    Raises
    ------
    InputError
        When the layer does not come from a file.
    """
    from ..plugin.core.covariates.table import RasterInput

    if isinstance(value, QgsProperty):
        value = value.valueAsString(context.expressionContext(), "")[0]
    layer = _loaded_layer(value, context)
    if layer is None:
        return RasterInput(str(value))
    if not isinstance(layer, QgsRasterLayer) or layer.providerType() != "gdal":
        raise InputError(
            f"{name}: the layer '{layer.name()}' is not a raster file.",
            "Save it as GeoTIFF and choose the file.",
        )
    parts = QgsProviderRegistry.instance().decodeUri("gdal", layer.source())
    path = parts.get("path") or layer.source()
    return RasterInput(layer.source() if parts.get("layerName") else path, *_fixed_range(layer))


def flat_items(value: Any) -> list[Any]:
    """Return the items of a value as one list.

    A model hands over a list of lists where several of its inputs and steps are wired to one
    parameter; those that were left empty are skipped.
    """
    if isinstance(value, (list, tuple)):
        return [item for part in value for item in flat_items(part)]
    return [value] if is_given(value) else []


def is_given(value: Any) -> bool:
    """Whether a parameter has a value; dialogs give NULL and invalid systems for none."""
    if isinstance(value, QgsCoordinateReferenceSystem):
        return value.isValid()
    if isinstance(value, str):
        return value != ""
    return value is not None and value != NULL


def check_raster_texts(name: str, value: Any, context: QgsProcessingContext) -> None:
    """Raise `InputError` for files that do not exist, URLs and inline XML.

    Asked before QGIS tries to open them.
    """
    from ..plugin.core.rasters.paths import refuse_remote

    for item in flat_items(value):
        if not isinstance(item, str) or not item or _loaded_layer(item, context) is not None:
            continue
        try:
            refuse_remote(item)
        except RasterError as error:
            raise InputError(f"{name}: {error.cause}", error.cure) from error
        if not Path(item.partition("|")[0]).exists():
            raise InputError(
                f"{name}: the raster file '{item}' does not exist.",
                "Check the path, or choose a layer of the project.",
            )


def mask_geometries(
    source: QgsProcessingFeatureSource,
    crs_wkt: str,
    context: QgsProcessingContext,
    progress: Progress,
    name: str = "MASK",
    cure: str = "",
) -> list[dict[str, Any]]:
    """Return the polygons of a source as GeoJSON geometries in the given system.

    Errors call the parameter by its `name`, and give `cure` in place of their own.

    Raises
    ------
    InputError
        When there is no polygon or one cannot be transformed.
    """
    transform = QgsCoordinateTransform(
        source.sourceCrs(), crs_of(crs_wkt), context.transformContext()
    )
    polygons = []
    request = QgsFeatureRequest().setNoAttributes()
    for number, feature in enumerate(source.getFeatures(request)):
        if number % CHUNK == 0:
            progress.check()
        geometry = feature.geometry()
        if geometry.isNull() or geometry.isEmpty():
            continue
        try:
            geometry.transform(transform)
        except QgsCsException as error:
            raise InputError(
                f"{name}: a polygon cannot be brought to the grid's coordinate system: {error}.",
                cure or "Check the layer's coordinate system.",
            ) from error
        polygons.append(json.loads(geometry.asJson(17)))
    if not polygons:
        raise InputError(
            f"{name} holds no polygon.", cure or "Choose a layer with the fields to map."
        )
    return polygons


def wkt_of(crs: QgsCoordinateReferenceSystem) -> str:
    """Return a system as WKT, as the core takes it; empty where there is none."""
    return crs.toWkt(Qgis.CrsWktVariant.Preferred) if crs.isValid() else ""


def crs_of(wkt: str) -> QgsCoordinateReferenceSystem:
    """Return a system from the WKT, or the code, of the core; invalid where there is none."""
    crs = QgsCoordinateReferenceSystem.fromWkt(wkt) if wkt else QgsCoordinateReferenceSystem()
    return crs if crs.isValid() or not wkt else QgsCoordinateReferenceSystem(wkt)


def _read_rows(
    source: QgsProcessingFeatureSource, indices: Sequence[int], progress: Progress
) -> tuple[list[float], list[float], list[list[Any]]]:
    x: list[float] = []
    y: list[float] = []
    values: list[list[Any]] = [[] for _ in indices]
    total = max(source.featureCount(), 1)
    for number, feature in enumerate(source.getFeatures(QgsFeatureRequest())):
        if number % CHUNK == 0:
            progress.step(min(number / total, 1.0))
        attributes = feature.attributes()
        for column, index in zip(values, indices):
            column.append(attributes[index])
        point = _point_of(feature)
        x.append(point[0])
        y.append(point[1])
    return x, y, values


def _point_of(feature: QgsFeature) -> tuple[float, float]:
    """Return the position of a row: its point, or the centroid of another shape; else NaN."""
    geometry = feature.geometry()
    if geometry.isNull() or geometry.isEmpty():
        return float("nan"), float("nan")
    if geometry.type() != Qgis.GeometryType.Point or geometry.isMultipart():
        geometry = geometry.centroid()
    point = geometry.asPoint()
    return point.x(), point.y()


def _core_column(values: list[Any], kind: Any) -> Any:
    import numpy as np

    if kind in _NUMBER_TYPES:
        if kind in INTEGER_TYPES and any(
            isinstance(value, int) and abs(value) > _EXACT_INTEGER for value in values
        ):
            return [None if _is_null(value) else str(value) for value in values]
        numbers = [float("nan") if _is_null(value) else float(value) for value in values]
        return np.array(numbers, dtype=np.float64)
    if not _is_date(kind):
        return [None if _is_null(value) else _text(value) for value in values]
    if all(_is_null(value) or _is_midnight(value) for value in values):
        days = ["NaT" if _is_null(value) else _day(value) for value in values]
        return np.array(days, dtype="datetime64[D]")
    return [None if _is_null(value) else value.toString(Qt.DateFormat.ISODate) for value in values]


def _is_null(value: Any) -> bool:
    if isinstance(value, (str, int, float)):
        return False
    return value is None or QgsVariantUtils.isNull(value)


def _is_date(kind: Any) -> bool:
    return kind in (QMetaType.Type.QDate, QMetaType.Type.QDateTime)


def _is_midnight(value: Any) -> bool:
    return isinstance(value, QDate) or value.time().msecsSinceStartOfDay() == 0


def _day(value: Any) -> str:
    day = value.date() if isinstance(value, QDateTime) else value
    return day.toString(Qt.DateFormat.ISODate)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else value.toString(Qt.DateFormat.ISODate)


def _loaded_layer(value: Any, context: QgsProcessingContext) -> QgsMapLayer | None:
    if isinstance(value, QgsMapLayer):
        return value
    return QgsProcessingUtils.mapLayerFromString(str(value), context, False)


def _fixed_range(layer: QgsRasterLayer) -> tuple[datetime.date | None, datetime.date | None]:
    temporal = layer.temporalProperties()
    if not temporal.isActive() or temporal.mode() != Qgis.RasterTemporalMode.FixedTemporalRange:
        return None, None
    period = temporal.fixedTemporalRange()
    return _date_of(period.begin()), _date_of(period.end())


def _date_of(moment: QDateTime) -> datetime.date | None:
    if not moment.isValid():
        return None
    day = moment.date()
    return datetime.date(day.year(), day.month(), day.day())
