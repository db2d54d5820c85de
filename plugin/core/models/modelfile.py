"""The model file (.smm): saving a model and loading it again, with every check.

The format is specified in ``docs/model-format.md``.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..dependencies import plugin_version
from ..errors import ModelFileError
from .archive import damaged, read_archive, read_array, write_archive
from .calibration import Calibration, Margins
from .forest_arrays import BrokenArrays, pack_forest, unpack_forest
from .record import KINDS, METHODS, Covariate, Model
from .record_fields import Fields
from .training_arrays import pack_training, unpack_training

FORMAT = "soil-moisture-model"
SCHEMA = 1

_MARGINS = ("station", "network", "spiked")
_MOST_ROWS = 2**31 - 1
_LARGEST_SEED = 2**32 - 1


def save_model(model: Model, path: str | Path, embed_training: bool = True) -> None:
    """Write `model` to a file, in one step: a file of that name stays until the new one is whole.

    The same model gives the same bytes.

    Parameters
    ----------
    model : Model
    path : str or Path
        Ends in ``.smm`` by custom.
    embed_training : bool
        Whether the training rows ride along. Without them the model cannot be spiked.

    Raises
    ------
    InputError
        A folder that cannot be written.
    """
    arrays = pack_forest(model.forest)
    document = _document(model)
    if embed_training and model.training is not None:
        document["training"], rows = pack_training(model.training, model.local)
        arrays.update(rows)
    write_archive(Path(path), document, arrays)


def load_model(path: str | Path) -> Model:
    """Read a model file.

    Nothing in the file is executed, and every array is checked: its checksum, type, shape, range
    and, for the forest, the order of its nodes.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Model
        With `training` None where the file holds no training rows.

    Raises
    ------
    ModelFileError
        A file that is missing, damaged, truncated, no model, or of a newer version.
    """
    path = Path(path)
    document, members = read_archive(path)
    fields = Fields(document, path.name)
    _check_format(fields, path)
    listed = fields.mapping("arrays")
    if set(listed) != set(members):
        differing = sorted(set(listed) ^ set(members))
        raise damaged(path, f"the array '{differing[0][:80]}' is not both listed and there")
    arrays = {
        name: read_array(path, name, content, listed[name]) for name, content in members.items()
    }
    try:
        return _model(fields, arrays)
    except BrokenArrays as error:
        raise damaged(path, str(error)) from error


def _document(model: Model) -> dict[str, Any]:
    calibration = model.calibration
    return {
        "format": FORMAT,
        "schema": SCHEMA,
        "plugin": plugin_version(),
        "kind": model.kind,
        "method": model.method,
        "covariates": [
            {
                "name": covariate.name,
                "group": covariate.group,
                "units": covariate.units,
                "minimum": float(covariate.minimum),
                "maximum": float(covariate.maximum),
                "mean": float(covariate.mean),
            }
            for covariate in model.covariates
        ],
        "target": model.target,
        "station_field": model.station_field,
        "date_field": model.date_field,
        "class_fields": list(model.class_fields),
        "depth": plain(model.depth),
        "period": plain(model.period),
        "spike_dates": list(model.spike_dates),
        "hyperparameters": plain(model.hyperparameters),
        "metrics": plain(model.metrics),
        "calibration": None if calibration is None else _calibration_document(calibration),
        "provenance": plain(model.provenance),
        "training": None,
    }


def _calibration_document(calibration: Calibration) -> dict[str, Any]:
    document: dict[str, Any] = {"applied": calibration.applied}
    for name in _MARGINS:
        margins: Margins | None = getattr(calibration, name)
        document[name] = margins and {
            "levels": plain(margins.levels),
            "values": plain(margins.values),
            "stations": int(margins.stations),
        }
    return document


def plain(value: Any) -> Any:
    """Return `value` in the types of JSON; numbers that are not finite become null."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(inner) for inner in value]
    if isinstance(value, (datetime.date, Path)):
        return str(value)
    return value


def _check_format(fields: Fields, path: Path) -> None:
    if not fields.has("format") or fields.text("format") != FORMAT:
        raise damaged(path, "it does not say that it is one")
    schema = fields.whole("schema")
    if schema > SCHEMA:
        raise ModelFileError(
            f"The model file '{path.name}' has the format {schema} of a newer version of the "
            f"plugin; this one reads up to {SCHEMA}.",
            "Update the plugin.",
        )
    if schema < 1:
        raise damaged(path, f"there is no format {schema}")


def _model(fields: Fields, arrays: Mapping[str, np.ndarray]) -> Model:
    covariates = tuple(
        Covariate(
            name=record.text("name"),
            group=record.text("group"),
            units=record.text("units"),
            minimum=record.number("minimum"),
            maximum=record.number("maximum"),
            mean=record.number("mean"),
        )
        for record in fields.records("covariates")
    )
    names = tuple(covariate.name for covariate in covariates)
    if not names or len(set(names)) < len(names):
        raise BrokenArrays("it names no covariate, or one twice")
    method = fields.choice("method", METHODS)
    forest = unpack_forest(arrays, len(names))
    if method == "qrf" and not forest.has_distribution:
        raise BrokenArrays("its leaves hold no rows")
    training, local = None, None
    if fields.has("training"):
        training, local = unpack_training(fields.record("training"), arrays, names)
    return Model(
        method=method,
        kind=fields.choice("kind", KINDS),
        forest=forest,
        covariates=covariates,
        target=fields.text("target"),
        station_field=fields.text("station_field"),
        date_field=fields.text("date_field"),
        class_fields=fields.texts("class_fields"),
        depth=fields.pair("depth"),
        period=_period(fields),
        spike_dates=_dates(fields, "spike_dates"),
        hyperparameters=_hyperparameters(fields, forest.trees),
        metrics=fields.mappings("metrics"),
        calibration=_calibration(fields),
        provenance=fields.mapping("provenance"),
        training=training,
        local=local,
    )


def _hyperparameters(fields: Fields, trees: int) -> dict[str, Any]:
    """Return the hyper-parameters; those that a spiked forest is grown with are in range."""
    record = fields.record("hyperparameters")
    if record.has("trees") and record.whole("trees") != trees:
        raise BrokenArrays(f"it holds {trees} trees and states another number")
    share = record.number("max_features") if record.has("max_features") else 1.0
    smallest = record.whole("min_leaf") if record.has("min_leaf") else 1
    seed = record.whole("seed") if record.has("seed") else 0
    if not 0 < share <= 1 or not 1 <= smallest <= _MOST_ROWS or seed > _LARGEST_SEED:
        raise BrokenArrays("its hyper-parameters are those of no forest")
    return fields.mapping("hyperparameters")


def _period(fields: Fields) -> tuple[str, str] | None:
    if not fields.has("period"):
        return None
    dates = _dates(fields, "period")
    if len(dates) != 2 or dates[0] > dates[1]:
        raise BrokenArrays("its period is no range of dates")
    return dates[0], dates[1]


def _dates(fields: Fields, name: str) -> tuple[str, ...]:
    dates = fields.texts(name)
    for text in dates:
        try:
            datetime.date.fromisoformat(text)
        except ValueError:
            raise BrokenArrays(f"'{text[:40]}' in '{name}' is no date") from None
    return dates


def _calibration(fields: Fields) -> Calibration | None:
    if not fields.has("calibration"):
        return None
    record = fields.record("calibration")
    margins = {name: _margins(record, name) for name in _MARGINS}
    applied = record.choice("applied", _MARGINS)
    if margins[applied] is None:
        raise BrokenArrays(f"its calibration has no margins '{applied}'")
    return Calibration(applied=applied, **margins)


def _margins(record: Fields, name: str) -> Margins | None:
    if not record.has(name):
        return None
    inner = record.record(name)
    levels = inner.numbers("levels")
    values = inner.numbers("values", gap=math.inf)
    rising = all(a < b for a, b in zip((0.0, *levels), levels))
    wider = all(a <= b for a, b in zip((0.0, *values), values))
    if not levels or len(levels) != len(values) or levels[-1] > 1 or not (rising and wider):
        raise BrokenArrays(f"its margins '{name}' do not rise with their levels")
    return Margins(levels, values, inner.whole("stations"))
