"""Core tables as QGIS layers: files appear whole or not at all, other targets as QGIS does."""

from __future__ import annotations

import csv
import re
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import (
    NULL,
    Qgis,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsFeatureSink,
    QgsField,
    QgsFields,
    QgsGeometry,
    QgsPointXY,
    QgsVectorFileWriter,
)
from qgis.PyQt.QtCore import QDate, QMetaType

from ..plugin.core.errors import InputError
from ..plugin.core.progress import Progress
from .layers import CHUNK, INTEGER_TYPES, crs_of

if TYPE_CHECKING:
    import numpy as np

    from ..plugin.core.stations.table import Table

_DRIVERS = {".gpkg": "GPKG", ".fgb": "FlatGeobuf", ".geojson": "GeoJSON"}
_COUNT_FIELDS = frozenset({"n", "fold"})
_NOT_A_FILE = re.compile(r"[A-Za-z][A-Za-z_0-9]{2,}:")
_CSV_TYPES = {
    QMetaType.Type.QString: "String",
    QMetaType.Type.QDate: "Date",
    QMetaType.Type.Double: "Real",
    QMetaType.Type.Int: "Integer",
    QMetaType.Type.LongLong: "Integer64",
    QMetaType.Type.Bool: "Integer(Boolean)",
}


def is_file(destination: str) -> bool:
    """Whether a destination is a file, not a memory layer or a database table."""
    return _NOT_A_FILE.match(destination) is None


def layer_fields(table: Table, types: Mapping[str, Any], iso_dates: bool = False) -> QgsFields:
    """Return the fields of a layer for a table.

    Parameters
    ----------
    table : Table
    types : mapping of str to QMetaType.Type
        Types of fields that came from a source; whole numbers and booleans stay what they were
        where the values still allow it.
    iso_dates : bool
        Whether dates are written as ISO texts.
    """
    fields = QgsFields()
    for name in table.names:
        kind = _field_type(name, table.column(name), types.get(name))
        if iso_dates and kind == QMetaType.Type.QDate:
            kind = QMetaType.Type.QString
        fields.append(QgsField(name, kind))
    return fields


def write_features(
    table: Table,
    fields: QgsFields,
    with_points: bool,
    sink: QgsFeatureSink,
    progress: Progress,
    failure: Callable[[], str],
) -> None:
    """Add every row of a table to a sink.

    Raises
    ------
    InputError
        When a row is refused; `failure` gives the sink's reason.
    """
    columns = [_attributes(table.column(f.name()), f.type()) for f in fields]
    total = max(len(table), 1)
    for row in range(len(table)):
        if row % CHUNK == 0:
            progress.step(row / total)
        feature = QgsFeature(fields)
        feature.setAttributes([column[row] for column in columns])
        if with_points and table.x[row] == table.x[row] and table.y[row] == table.y[row]:
            point = QgsPointXY(float(table.x[row]), float(table.y[row]))
            feature.setGeometry(QgsGeometry.fromPointXY(point))
        if not sink.addFeature(feature, QgsFeatureSink.Flag.FastInsert):
            raise InputError(f"Row {row + 1} could not be written: {failure()}")
    progress.step(1.0)


def write_file(
    table: Table,
    types: Mapping[str, Any],
    path: Path,
    outputs: ExitStack,
    progress: Progress,
) -> None:
    """Write a table to a vector file under a temporary name in the same folder.

    It is renamed when `outputs` is left without an error; else nothing is left behind and an
    earlier file of that name stays.

    Raises
    ------
    InputError
        When the folder cannot be written to, the format is not known or cannot hold the rows.
    """
    from ..plugin.core.rasters.writing import atomic_path

    with_points = bool(table.crs)
    if path.suffix.lower() == ".csv":
        _write_csv_family(table, types, with_points, path, outputs, progress)
        return
    temporary = outputs.enter_context(atomic_path(path))
    outputs.push(partial(_forget_journal, path))
    _write_ogr(table, types, with_points, temporary, path, progress)


def _forget_journal(path: Path, kind: Any, *_error: Any) -> None:
    """Remove what SQLite keeps beside a file that is about to be replaced."""
    if kind is None:
        for kept in ("-wal", "-shm"):
            path.with_name(f"{path.name}{kept}").unlink(missing_ok=True)


def _write_ogr(
    table: Table,
    types: Mapping[str, Any],
    with_points: bool,
    temporary: Path,
    final: Path,
    progress: Progress,
) -> None:
    suffix = final.suffix.lower()
    if suffix not in _DRIVERS:
        raise InputError(
            f"Files '{final.suffix}' cannot be written.", "Use .gpkg, .fgb, .geojson or .csv."
        )
    _check_points(table, with_points, suffix)
    # FlatGeobuf has no dates, and would bring them back as times
    fields = layer_fields(table, types, iso_dates=suffix == ".fgb")
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = _DRIVERS[suffix]
    options.layerName = final.stem
    options.fileEncoding = "UTF-8"
    writer = QgsVectorFileWriter.create(
        str(temporary),
        fields,
        Qgis.WkbType.Point if with_points else Qgis.WkbType.NoGeometry,
        crs_of(table.crs),
        QgsCoordinateTransformContext(),
        options,
    )
    if writer.hasError() != QgsVectorFileWriter.WriterError.NoError:
        reason = writer.errorMessage()
        del writer
        raise InputError(f"'{final}' cannot be written: {reason}")
    try:
        write_features(table, fields, with_points, writer, progress, writer.errorMessage)
        if not writer.flushBuffer():
            raise InputError(f"'{final}' cannot be written: {writer.errorMessage()}")
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)  # they would keep the file open
        raise
    finally:
        del writer  # closes the file


def _check_points(table: Table, with_points: bool, suffix: str) -> None:
    if suffix != ".fgb":
        return
    missing = len(table) if not with_points else int((table.x != table.x).sum())
    if missing:
        raise InputError(
            f"FlatGeobuf cannot hold rows without a point, and there are {missing}.",
            "Write to .gpkg or .csv.",
        )


def _write_csv_family(
    table: Table,
    types: Mapping[str, Any],
    with_points: bool,
    path: Path,
    outputs: ExitStack,
    progress: Progress,
) -> None:
    """Write text with ISO dates; points as WKT, their system and the types in files beside it."""
    from ..plugin.core.rasters.writing import atomic_path

    fields = layer_fields(table, types)
    temporary = outputs.enter_context(atomic_path(path))
    _write_csv(table, fields, with_points, temporary, progress)
    described = [_CSV_TYPES[f.type()] for f in fields]
    beside = {".csvt": ",".join(["WKT", *described] if with_points else described) + "\n"}
    if with_points and not path.with_suffix(".shp").exists():
        beside[".prj"] = crs_of(table.crs).toWkt(Qgis.CrsWktVariant.Wkt1Gdal)
    for suffix, text in beside.items():
        part = outputs.enter_context(atomic_path(path.with_suffix(suffix)))
        part.write_text(text, encoding="utf-8")


def _write_csv(
    table: Table, fields: QgsFields, with_points: bool, path: Path, progress: Progress
) -> None:
    columns = [_csv_texts(table.column(f.name()), f.type()) for f in fields]
    names = [f.name() for f in fields]
    if with_points:
        columns.insert(0, _points(table))
        names.insert(0, "WKT")
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        for row in range(len(table)):
            if row % CHUNK == 0:
                progress.step(row / len(table))
            writer.writerow([column[row] for column in columns])
    progress.step(1.0)


def _points(table: Table) -> list[str]:
    return [
        f"POINT ({x!r} {y!r})" if x == x and y == y else ""
        for x, y in zip(table.x.tolist(), table.y.tolist())
    ]


def _field_type(name: str, values: np.ndarray, source_type: Any) -> Any:
    import numpy as np

    if values.dtype.kind == "M":
        return QMetaType.Type.QDate
    if values.dtype.kind == "O":
        return QMetaType.Type.QString
    known = values[~np.isnan(values)]
    if source_type == QMetaType.Type.Bool and np.isin(known, (0.0, 1.0)).all():
        return QMetaType.Type.Bool
    if not np.equal(known, np.rint(known)).all():
        return QMetaType.Type.Double
    if source_type in INTEGER_TYPES:
        return QMetaType.Type.LongLong
    return QMetaType.Type.Int if name in _COUNT_FIELDS else QMetaType.Type.Double


def _attributes(values: np.ndarray, kind: Any) -> list[Any]:
    """Values of a column as QGIS takes them."""
    if kind == QMetaType.Type.QString:
        texts = values.astype(str) if values.dtype.kind == "M" else values
        return [NULL if text in ("", "NaT") else str(text) for text in texts]
    if kind == QMetaType.Type.QDate:
        days = values.astype(object)
        return [NULL if day is None else QDate(day.year, day.month, day.day) for day in days]
    convert = {QMetaType.Type.Double: float, QMetaType.Type.Bool: bool}.get(kind, int)
    return [NULL if value != value else convert(value) for value in values.tolist()]


def _csv_texts(values: np.ndarray, kind: Any) -> list[str]:
    if values.dtype.kind == "O":
        return [str(text) for text in values]
    if values.dtype.kind == "M":
        return ["" if text == "NaT" else text for text in values.astype(str).tolist()]
    if kind == QMetaType.Type.Double:
        return ["" if value != value else repr(value) for value in values.tolist()]
    return ["" if value != value else str(int(value)) for value in values.tolist()]
