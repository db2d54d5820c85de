"""The training rows of a model as arrays and texts of its file, and back with every check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..stations.rows import TrainingRows
from .forest_arrays import BrokenArrays, real, smallest, whole
from .record_fields import Fields

_NO_DATE = np.iinfo(np.int32).min


def pack_training(
    rows: TrainingRows, local: np.ndarray | None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the entry ``training`` of the document, and the arrays.

    Stations, networks and classes are stored as places in lists of texts; dates as days since
    1970-01-01.
    """
    texts = {"station": rows.station, "network": rows.network}
    texts.update({f"class_{i}": rows.classes[name] for i, name in enumerate(rows.classes)})
    levels: dict[str, list[str]] = {}
    arrays: dict[str, np.ndarray] = {}
    for name, values in texts.items():
        known, codes = np.unique(values.astype(str), return_inverse=True)
        levels[name] = known.tolist()
        arrays[f"training/{name}"] = smallest(codes.reshape(-1))
    days = rows.date.astype("datetime64[D]")
    numbers = days.astype(np.int64)
    numbers[np.isnat(days)] = _NO_DATE
    arrays.update(
        {
            "training/X": rows.X.astype("<f4"),
            "training/y": rows.y.astype("<f8"),
            "training/date": numbers.astype("<i4"),
            "training/weight": rows.weight.astype("<f8"),
            "training/fold": rows.fold.astype("<i4"),
            "training/coord_x": rows.x.astype("<f8"),
            "training/coord_y": rows.y_coord.astype("<f8"),
        }
    )
    if local is not None:
        arrays["training/local"] = local.astype("|u1")
    document = {
        "classes": list(rows.classes),
        "texts": levels,
        "crs": rows.crs,
        "depth": None if rows.depth is None else list(rows.depth),
        "dropped": {name: int(number) for name, number in rows.dropped.items()},
    }
    return document, arrays


def unpack_training(
    fields: Fields, arrays: Mapping[str, np.ndarray], covariates: tuple[str, ...]
) -> tuple[TrainingRows, np.ndarray | None]:
    """Return the training rows, and which of them are local (None where that is not stored).

    Raises
    ------
    BrokenArrays
        An array or list of texts is absent, of another length or type, or has values that are
        not finite or out of range.
    ModelFileError
        A field of the document is absent or of another type.
    """
    X = arrays.get("training/X")
    if X is None or X.ndim != 2 or X.dtype.str != "<f4" or X.shape[1] != len(covariates):
        raise BrokenArrays("the training rows do not hold the model's covariates")
    n = len(X)
    weight = real(arrays, "training/weight", n)
    if n == 0 or not np.isfinite(X).all() or (weight <= 0).any():
        raise BrokenArrays("a training row has a missing covariate or no positive weight")
    fold = whole(arrays, "training/fold", n)
    if (fold < -1).any():
        raise BrokenArrays("a training row has a fold below -1")
    texts = fields.record("texts")
    rows = TrainingRows(
        X=X.astype(np.float32),
        y=real(arrays, "training/y", n),
        station=_texts(texts, arrays, "station", n),
        network=_texts(texts, arrays, "network", n),
        date=_dates(arrays, n),
        weight=weight,
        fold=fold,
        classes={
            name: _texts(texts, arrays, f"class_{i}", n)
            for i, name in enumerate(fields.texts("classes"))
        },
        x=real(arrays, "training/coord_x", n, finite=False),
        y_coord=real(arrays, "training/coord_y", n, finite=False),
        crs=fields.text("crs"),
        covariates=covariates,
        depth=fields.pair("depth"),
        dropped=fields.record("dropped").whole_numbers(),
        row=np.full(n, -1, dtype=np.int64),
    )
    if "training/local" not in arrays:
        return rows, None
    local = whole(arrays, "training/local", n)
    if (local > 1).any():
        raise BrokenArrays("the array 'training/local' is not of 0 and 1")
    return rows, local.astype(bool)


def _texts(texts: Fields, arrays: Mapping[str, np.ndarray], name: str, n: int) -> np.ndarray:
    levels = np.array(texts.texts(name), dtype=object)
    codes = whole(arrays, f"training/{name}", n)
    if (codes < 0).any() or (codes >= len(levels)).any():
        raise BrokenArrays(f"the array 'training/{name}' names a text that is not listed")
    return levels[codes]


def _dates(arrays: Mapping[str, np.ndarray], n: int) -> np.ndarray:
    days = whole(arrays, "training/date", n)
    dates = days.astype("datetime64[D]")
    dates[days == _NO_DATE] = np.datetime64("NaT")
    return dates
