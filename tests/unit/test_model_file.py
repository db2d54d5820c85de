"""The model file: it gives back what was saved, and refuses everything else."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from soil_moisture_mapper.plugin.core.errors import InputError, ModelFileError, PluginError
from soil_moisture_mapper.plugin.core.models import archive, modelfile
from soil_moisture_mapper.plugin.core.models.calibration import LEVELS, Calibration, Margins
from soil_moisture_mapper.plugin.core.models.forest import LEAF, grow_forest
from soil_moisture_mapper.plugin.core.models.modelfile import load_model, save_model
from soil_moisture_mapper.plugin.core.models.record import Covariate, Model, predict_model
from soil_moisture_mapper.plugin.core.stations.rows import TrainingRows

NAMES = ("clay", "ndvi_größe", "vv")
MARGINS = Margins(LEVELS, (0.0, 0.01, 0.02, 0.02, 0.03, 0.05, float("inf"), float("inf")), 23)
FOREST = ("tree_start", "feature", "threshold", "left", "right", "value", "variance", "count")
STORE = ("y", "order", "start", "row", "count")


def training_rows(n=60, seed=1):
    rng = np.random.default_rng(seed)
    date = np.datetime64("2021-04-01") + np.arange(n)
    date[5] = np.datetime64("NaT")
    x = rng.uniform(5, 9, n)
    x[7] = np.nan
    return TrainingRows(
        X=rng.normal(size=(n, 3)).astype(np.float32),
        y=rng.uniform(0.05, 0.5, n),
        station=np.array([f"Żółw {i % 7}" for i in range(n)], dtype=object),
        network=np.array(["", "A"] * (n // 2), dtype=object),
        date=date,
        weight=rng.uniform(0.5, 3, n),
        fold=np.arange(n) % 5 - 1,
        classes={"land/cover": np.array(["forest", ""] * (n // 2), dtype=object)},
        x=x,
        y_coord=rng.uniform(50, 52, n),
        crs='GEOGCRS["WGS 84"]',
        covariates=NAMES,
        depth=(0.0, 0.05),
        dropped={"vv": 3},
        row=np.arange(n),
    )


def made(method="qrf", kind="spiked", **changes):
    rows = training_rows()
    forest = grow_forest(
        rows.X, rows.y, rows.weight, trees=4, min_leaf=3, keep_rows=method == "qrf"
    )
    model = Model(
        method=method,
        kind=kind,
        forest=forest,
        covariates=tuple(
            Covariate(name, "soil", "%", float(c.min()), float(c.max()), float(c.mean()))
            for name, c in zip(NAMES, rows.X.T)
        ),
        class_fields=("land/cover",),
        depth=(0.0, 0.05),
        period=("2021-04-01", "2021-05-30"),
        spike_dates=("2021-04-03", "2021-04-09") if kind == "spiked" else (),
        hyperparameters={"trees": 4, "max_features": 1 / 3, "seed": np.int64(42)},
        metrics=({"scope": "overall", "rmse": np.float64(0.1) / 3, "r2": float("nan")},),
        calibration=Calibration(MARGINS, None, MARGINS, "spiked"),
        provenance={"version": "0.1.0", "steps": [{"algorithm": "trainmodel"}]},
        training=rows,
        local=np.arange(60) >= 50 if kind == "spiked" else None,
    )
    return replace(model, **changes)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "field.smm"
    save_model(made(), path)
    return path


def assert_same(a, b):
    assert all(np.array_equal(getattr(a.forest, n), getattr(b.forest, n)) for n in FOREST)
    assert a.forest.has_distribution == b.forest.has_distribution
    if a.forest.store is not None:
        pairs = [(getattr(a.forest.store, n), getattr(b.forest.store, n)) for n in STORE]
        assert all(np.array_equal(one, two) and one.dtype == two.dtype for one, two in pairs)
    for name in (
        "method",
        "kind",
        "covariates",
        "target",
        "station_field",
        "date_field",
        "class_fields",
        "depth",
        "period",
        "spike_dates",
        "calibration",
        "provenance",
    ):
        assert getattr(a, name) == getattr(b, name), name


def test_loaded_model_is_the_saved_one(saved):
    model, loaded = made(), load_model(saved)
    assert_same(model, loaded)
    assert loaded.hyperparameters == {"trees": 4, "max_features": 1 / 3, "seed": 42}
    assert loaded.metrics == ({"scope": "overall", "rmse": 0.1 / 3, "r2": None},)
    assert np.array_equal(loaded.local, model.local)


def test_training_rows_come_back(saved):
    rows, loaded = training_rows(), load_model(saved).training
    for name in ("X", "y", "station", "network", "weight", "fold", "x", "y_coord", "date"):
        one, two = getattr(rows, name), getattr(loaded, name)
        assert one.dtype == two.dtype, name
        assert np.array_equal(one, two, equal_nan=one.dtype.kind in "fM"), name
    assert list(loaded.classes) == ["land/cover"]
    assert np.array_equal(loaded.classes["land/cover"], rows.classes["land/cover"])
    for name in ("crs", "covariates", "depth", "dropped"):
        assert getattr(rows, name) == getattr(loaded, name)
    assert len(loaded.take(np.arange(3))) == 3


@pytest.mark.parametrize("method", ["qrf", "rf"])
@pytest.mark.parametrize("kind", ["trained", "spiked"])
def test_predictions_of_a_loaded_model_are_identical(tmp_path, method, kind):
    model = made(method, kind)
    save_model(model, tmp_path / "a.smm", embed_training=False)
    loaded = load_model(tmp_path / "a.smm")
    query = np.random.default_rng(3).normal(size=(200, 3)).astype(np.float32)
    before = predict_model(model, query, (0.05, 0.5, 0.95))
    after = predict_model(loaded, query, (0.05, 0.5, 0.95))
    for name in ("mean", "sd", "quantiles"):
        assert np.array_equal(getattr(before, name), getattr(after, name))
    assert loaded.training is None
    assert loaded.local is None


def test_single_leaf_model_without_extras_comes_back(tmp_path):
    forest = grow_forest(np.ones((3, 3), np.float32), np.full(3, 0.2), trees=1)
    model = Model("qrf", "trained", forest, made().covariates)
    save_model(model, tmp_path / "a.smm")
    assert_same(model, load_model(tmp_path / "a.smm"))


def test_saving_twice_gives_the_same_bytes(saved, tmp_path):
    save_model(load_model(saved), tmp_path / "again.smm")
    assert (tmp_path / "again.smm").read_bytes() == saved.read_bytes()


def test_file_is_json_and_plain_little_endian_arrays(saved):
    with zipfile.ZipFile(saved) as file:
        document = json.loads(file.read("model.json"))
        assert set(file.namelist()) == {"model.json"} | {f"{n}.npy" for n in document["arrays"]}
        for name, listed in document["arrays"].items():
            content = file.read(f"{name}.npy")
            array = np.load(io.BytesIO(content), allow_pickle=False)
            assert array.dtype.str == listed["dtype"]
            assert array.dtype.str[0] in "<|"
            assert hashlib.sha256(content).hexdigest() == listed["sha256"]
    assert document["calibration"]["spiked"]["values"][-2:] == [None, None]
    assert document["schema"] == 1
    assert document["plugin"]


def test_file_is_much_smaller_than_a_dump_of_the_same_forest(tmp_path):
    joblib = pytest.importorskip("joblib")
    quantile_forest = pytest.importorskip("quantile_forest")
    rng = np.random.default_rng(1)
    X = rng.normal(size=(2000, 3)).astype(np.float32)
    y = 0.3 + 0.05 * X[:, 0] + 0.05 * rng.normal(size=2000)
    forest = quantile_forest.RandomForestQuantileRegressor(
        50, min_samples_leaf=10, max_features=1 / 3, random_state=42, max_samples_leaf=None
    ).fit(X, y)
    joblib.dump(forest, tmp_path / "dump")
    joblib.dump(forest, tmp_path / "dump.gz", compress=6)
    model = Model("qrf", "trained", grow_forest(X, y), made().covariates)
    save_model(model, tmp_path / "a.smm")
    size = (tmp_path / "a.smm").stat().st_size
    assert size < 0.1 * (tmp_path / "dump").stat().st_size
    assert size < 0.7 * (tmp_path / "dump.gz").stat().st_size


def test_failed_save_keeps_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "field.smm"
    save_model(made(), path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(archive, "_write_member", fail)
    with pytest.raises(OSError, match="no space"):
        save_model(made("rf"), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["field.smm"]


def test_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PluginError, match="file"):
        save_model(made(), tmp_path / "file" / "a.smm")


# --- files that are refused -------------------------------------------------------------------


def rewritten(source, target, *, document=None, arrays=None, extra=None, drop=()):
    """Write a copy of a model file with changes, its checksums made right again."""
    with zipfile.ZipFile(source) as file:
        record = json.loads(file.read("model.json"))
        contents = {
            name: np.load(io.BytesIO(file.read(f"{name}.npy"))) for name in record["arrays"]
        }
    if document:
        document(record)
    if arrays:
        arrays(contents)
    members = {}
    for name, array in contents.items():
        stream = io.BytesIO()
        np.lib.format.write_array(stream, array, version=(1, 0))
        members[name] = stream.getvalue()
        record["arrays"][name] = {
            "dtype": array.dtype.str,
            "shape": list(array.shape),
            "sha256": hashlib.sha256(stream.getvalue()).hexdigest(),
        }
    for name in drop:
        del members[name]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("model.json", json.dumps(record))
        for name, content in {**members, **(extra or {})}.items():
            file.writestr(f"{name}.npy", content)
    return target


def put(name, value):
    def change(record):
        record[name] = value

    return change


def test_rewriting_without_changes_is_accepted(saved, tmp_path):
    assert_same(load_model(saved), load_model(rewritten(saved, tmp_path / "a.smm")))


def inner_node(arrays):
    return int(np.flatnonzero(arrays["forest/feature"] != LEAF)[0])


def leaf_node(arrays):
    return int(np.flatnonzero(arrays["forest/feature"] == LEAF)[0])


def set_at(name, place, value):
    def change(arrays):
        array = arrays[name].astype(arrays[name].dtype)
        array[place(arrays) if callable(place) else place] = value
        arrays[name] = array

    return change


def retype(name, dtype):
    def change(arrays):
        arrays[name] = arrays[name].astype(dtype)

    return change


def swap_children(arrays):
    i = inner_node(arrays)
    arrays["forest/right"][i] = arrays["forest/left"][i]


TAMPERED = {
    "child before its parent": (set_at("forest/left", inner_node, -1), "does not come after"),
    "child is its parent": (set_at("forest/right", inner_node, 0), "does not come after"),
    "child in another tree": (set_at("forest/right", inner_node, 10_000), "does not come after"),
    "leaf with a child": (set_at("forest/left", leaf_node, 1), "a leaf has a child"),
    "node reached twice": (swap_children, "not reached exactly once"),
    "unknown covariate": (set_at("forest/feature", inner_node, 3), "does not have"),
    "negative covariate": (set_at("forest/feature", inner_node, -2), "does not have"),
    "split turned leaf": (set_at("forest/feature", inner_node, LEAF), "a leaf has a child"),
    "threshold not finite": (set_at("forest/threshold", 0, np.nan), "finite"),
    "value not finite": (set_at("forest/value", 1, np.inf), "finite"),
    "negative variance": (set_at("forest/variance", 1, -0.1), "draws of a node"),
    "draws do not add up": (set_at("forest/count", 0, 7), "draws of a node"),
    "no draws": (set_at("forest/count", leaf_node, 0), "draws of a node"),
    "empty tree": (set_at("forest/tree_size", 0, 0), "a tree has no node"),
    "negative tree": (set_at("forest/tree_size", 0, -5), "a tree has no node"),
    "huge tree": (set_at("forest/tree_size", 0, 2**31 - 1), "has the shape"),
    "row out of range": (set_at("leaves/row", 0, 60), "none of the training rows"),
    "row drawn 0 times": (set_at("leaves/count", 0, 0), "none of the training rows"),
    "row drawn too often": (set_at("leaves/count", 0, 200), "draws of a leaf"),
    "sizes of leaves": (set_at("leaves/size", leaf_node, 250), "has the shape"),
    "order repeats a row": (set_at("leaves/order", 0, 1), "ordered by their target"),
    "order not by target": (lambda a: a["leaves/order"].sort(), "ordered by their target"),
    "target not finite": (set_at("leaves/y", 0, np.nan), "finite"),
    "leaf store missing": (
        lambda a: [a.pop(name) for name in list(a) if name.startswith("leaves/")],
        "not both listed and there",
    ),
    "training covariate missing": (set_at("training/X", 0, np.nan), "missing covariate"),
    "training weight 0": (set_at("training/weight", 0, 0.0), "no positive weight"),
    "training fold": (set_at("training/fold", 0, -2), "fold below -1"),
    "station not listed": (set_at("training/station", 0, 99), "not listed"),
    "local not boolean": (set_at("training/local", 0, 2), "not of 0 and 1"),
    "training target not finite": (set_at("training/y", 0, np.inf), "finite"),
    "too few training rows": (lambda a: a.update({"training/X": a["training/X"][:9]}), "shape"),
    "vector as a matrix": (lambda a: a.update({"forest/value": a["forest/value"][None]}), "shape"),
    "covariates by column": (
        lambda a: a.update({"training/X": np.asfortranarray(a["training/X"])}),
        "another type or shape",
    ),
    "big endian": (retype("forest/value", ">f8"), "another type or shape"),
    "half precision": (retype("forest/value", "<f2"), "another type or shape"),
    "single precision": (retype("forest/value", "<f4"), "finite numbers"),
    "numbers as fractions": (retype("forest/left", "<f8"), "whole numbers"),
    "complex": (retype("forest/value", "<c16"), "another type or shape"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_arrays_altered_with_their_checksums_are_refused(saved, tmp_path, name):
    change, message = TAMPERED[name]
    path = rewritten(saved, tmp_path / "altered.smm", arrays=change)
    with pytest.raises(ModelFileError, match=message) as caught:
        load_model(path)
    assert "altered.smm" in str(caught.value)


def test_pickled_array_is_not_read(saved, tmp_path):
    stream = io.BytesIO()
    np.save(stream, np.array([{}], dtype=object), allow_pickle=True)
    content = stream.getvalue()
    listed = {"dtype": "|O", "shape": [1], "sha256": hashlib.sha256(content).hexdigest()}
    path = rewritten(
        saved,
        tmp_path / "a.smm",
        document=lambda record: record["arrays"].update({"forest/evil": listed}),
        extra={"forest/evil": content},
    )
    with pytest.raises(ModelFileError, match="another type or shape"):
        load_model(path)


def clear(*keys):
    def change(record):
        for key in keys[:-1]:
            record = record[key]
        del record[keys[-1]]

    return change


def set_in(*keys):
    def change(record):
        for key in keys[:-2]:
            record = record[key]
        record[keys[-2]] = keys[-1]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("schema", 2), "newer version"),
        (put("schema", 0), "no format 0"),
        (put("schema", "1"), "'schema' is not a whole number"),
        (put("format", "other"), "does not say"),
        (clear("format"), "does not say"),
        (put("method", "magic"), "'method' is not one of qrf, rf"),
        (put("method", None), "'method' is not a text"),
        (put("kind", "boiled"), "'kind' is not one of"),
        (clear("covariates"), "'covariates' is not a list"),
        (put("covariates", []), "names no covariate"),
        (set_in("covariates", 0, "name", "vv"), "names no covariate, or one twice"),
        (set_in("covariates", 1, "mean", "x"), r"'covariates\[1\].mean' is not a number"),
        (set_in("covariates", 1, "mean", 10**400), r"'covariates\[1\].mean' is not a number"),
        (lambda r: r["covariates"].pop(), "covariate that the model does not have"),
        (put("target", 3), "'target' is not a text"),
        (put("class_fields", [1]), "'class_fields' is not texts"),
        (put("depth", [0.05]), "'depth' is not a range"),
        (put("depth", [0.3, 0.1]), "'depth' is not a range"),
        (put("period", ["2021-05-01", "2021-04-01"]), "no range of dates"),
        (put("spike_dates", ["yesterday"]), "'yesterday' in 'spike_dates' is no date"),
        (put("hyperparameters", []), "'hyperparameters' is not a record"),
        (set_in("hyperparameters", "trees", 10**9), "holds 4 trees and states another number"),
        (set_in("hyperparameters", "trees", "many"), "'hyperparameters.trees' is not a whole"),
        (set_in("hyperparameters", "min_leaf", 0), "hyper-parameters are those of no forest"),
        (set_in("hyperparameters", "max_features", 0), "hyper-parameters are those of no forest"),
        (set_in("hyperparameters", "max_features", 1.5), "hyper-parameters are those of no forest"),
        (set_in("hyperparameters", "seed", 2**32), "hyper-parameters are those of no forest"),
        (put("metrics", [1]), "'metrics' is not records"),
        (set_in("calibration", "applied", "network"), "no margins 'network'"),
        (set_in("calibration", "applied", "luck"), "'calibration.applied' is not one of"),
        (set_in("calibration", "spiked", "values", [0.1] * 7), "do not rise"),
        (set_in("calibration", "spiked", "values", [0.1] * 7 + [0.0]), "do not rise"),
        (set_in("calibration", "spiked", "values", [-0.1] * 8), "do not rise"),
        (set_in("calibration", "spiked", "levels", [0.5] * 8), "do not rise"),
        (set_in("calibration", "spiked", "stations", -1), "'calibration.spiked.stations'"),
        (set_in("training", "texts", "station", "x"), "'training.texts.station' is not a list"),
        (clear("training", "crs"), "'training.crs' is not a text"),
        (set_in("training", "dropped", {"vv": "3"}), "'training.dropped.vv' is not a whole number"),
        (put("arrays", {}), "not both listed and there"),
        (put("arrays", []), "'arrays' is not a record"),
    ],
)
def test_altered_document_is_refused(saved, tmp_path, change, message):
    with zipfile.ZipFile(saved) as file:
        record = json.loads(file.read("model.json"))
        arrays = {name: file.read(name) for name in file.namelist() if name != "model.json"}
    change(record)
    with zipfile.ZipFile(tmp_path / "a.smm", "w") as file:
        file.writestr("model.json", json.dumps(record))
        for name, content in arrays.items():
            file.writestr(name, content)
    with pytest.raises(ModelFileError, match=message):
        load_model(tmp_path / "a.smm")


def test_missing_and_additional_members_are_refused(saved, tmp_path):
    path = rewritten(saved, tmp_path / "a.smm", drop=["forest/value"])
    with pytest.raises(ModelFileError, match="'forest/value' is not both listed and there"):
        load_model(path)
    path = rewritten(saved, tmp_path / "b.smm", extra={"../../evil": b""})
    with pytest.raises(ModelFileError, match="evil' is not both listed and there"):
        load_model(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.json", b"{}", "a member twice"),
        ("forest/value.npy", b"x", "a member twice"),
        ("run.py", b"print()", "it holds 'run.py'"),
        ("forest/zeros.npy", bytes(70_000_000), "unpack to far more"),
    ],
)
def test_unfit_members_are_refused(saved, tmp_path, name, content, message):
    path = tmp_path / "a.smm"
    path.write_bytes(saved.read_bytes())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    with pytest.raises(ModelFileError, match=message):
        load_model(path)


def test_member_that_unpacks_to_more_than_it_states_is_refused(saved, tmp_path):
    path = tmp_path / "a.smm"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("model.json", b" " * 1_000_000 + b"{}")
    content = path.read_bytes()
    true, stated = (1_000_002).to_bytes(4, "little"), (2).to_bytes(4, "little")
    path.write_bytes(content.replace(true, stated))
    with pytest.raises(ModelFileError, match="damaged"):
        load_model(path)


def plain_zip(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "hello")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "no model file"),
        (lambda path: path.mkdir(), "no model file"),
        (lambda path: path.write_bytes(b""), "damaged or not a model"),
        (lambda path: path.write_bytes(b"\x80\x04K\x01."), "damaged or not a model"),
        (plain_zip, "holds no model.json"),
    ],
)
def test_files_that_are_no_models_are_refused(tmp_path, write, message):
    path = tmp_path / "größe 1.smm"
    write(path)
    with pytest.raises(ModelFileError, match=message) as caught:
        load_model(path)
    assert path.name in str(caught.value)


@pytest.mark.parametrize("text", ["[]", "{", "[" * 100_000, '{"schema": NaN}', "\udcff"])
def test_unreadable_document_is_refused(tmp_path, text):
    with zipfile.ZipFile(tmp_path / "a.smm", "w") as file:
        file.writestr("model.json", text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelFileError, match="damaged"):
        load_model(tmp_path / "a.smm")


def test_truncated_file_is_refused(saved, tmp_path):
    content = saved.read_bytes()
    for length in range(0, len(content), 97):
        (tmp_path / "a.smm").write_bytes(content[:length])
        with pytest.raises(ModelFileError):
            load_model(tmp_path / "a.smm")


def test_flipped_bytes_give_an_error_or_the_same_model(saved, tmp_path):
    content, model, path = saved.read_bytes(), load_model(saved), tmp_path / "a.smm"
    rng = np.random.default_rng(1)
    directory = content.index(b"PK\x01\x02")
    places = np.concatenate(
        [rng.integers(0, directory, 700), np.arange(directory, len(content))[::2]]
    )
    refused = 0
    for place in places:
        altered = bytearray(content)
        altered[place] ^= int(rng.integers(1, 256))
        path.write_bytes(altered)
        try:
            loaded = load_model(path)
        except ModelFileError:
            refused += 1
        else:
            assert_same(model, loaded)
    assert refused > 700


def test_nothing_is_executed_on_loading(saved, monkeypatch):
    load_model(saved)
    reached = []
    monkeypatch.setattr("builtins.exec", lambda *_: reached.append("exec"))
    monkeypatch.setattr("builtins.eval", lambda *_: reached.append("eval"))
    monkeypatch.setattr("pickle.loads", lambda *_: reached.append("pickle"))
    monkeypatch.setattr("pickle.load", lambda *_: reached.append("pickle"))
    before = set(sys.modules)
    load_model(saved)
    assert reached == []
    assert set(sys.modules) == before


def test_model_of_unknown_method_or_wrong_covariates_cannot_be_made():
    with pytest.raises(InputError, match="not known"):
        made(method="svm")
    with pytest.raises(InputError, match="names 2"):
        made(covariates=made().covariates[:2])


def test_plain_values_are_those_of_json():
    value = {"a": np.float32(0.5), "b": (np.int64(2), np.bool_(True)), "c": np.array([1.0, np.nan])}
    assert modelfile.plain(value) == {"a": 0.5, "b": [2, True], "c": [1.0, None]}
    assert modelfile.plain(np.datetime64("2021-04-01")) == "2021-04-01"


def read_by_the_book(path, x, taus):
    """Predict one row with nothing but the file and its specification."""
    with zipfile.ZipFile(path) as file:
        document = json.loads(file.read("model.json"))
        array = {name: np.load(io.BytesIO(file.read(f"{name}.npy"))) for name in document["arrays"]}
    leaves, first = [], 0
    for size in array["forest/tree_size"]:
        node = first
        while array["forest/feature"][node] >= 0:
            left = x[array["forest/feature"][node]] <= array["forest/threshold"][node]
            node += int(array["forest/left" if left else "forest/right"][node])
        leaves.append(node)
        first += int(size)
    value, variance = array["forest/value"][leaves], array["forest/variance"][leaves]
    mean = value.mean()
    sd = np.sqrt((variance + (value - mean) ** 2).mean())
    start = np.concatenate([[0], np.cumsum(array["leaves/size"], dtype=int)])
    draws = array["forest/count"][leaves].astype(int)
    weight = np.zeros(len(array["leaves/y"]))
    for leaf, drawn in zip(leaves, draws):
        for entry in range(start[leaf], start[leaf + 1]):
            share = draws.sum() / (len(draws) * drawn) * array["leaves/count"][entry]
            weight[array["leaves/row"][entry]] += share
    order = [row for row in array["leaves/order"] if weight[row] > 0]
    v, cumulated = array["leaves/y"][order], np.cumsum(weight[order])
    quantiles = []
    for tau in taus:
        p = tau * (draws.sum() - 1) + 1
        j = np.flatnonzero(cumulated <= p)
        if len(j) == 0:
            quantiles.append(v[0])
        elif j[-1] == len(v) - 1:
            quantiles.append(v[-1])
        else:
            part = min(1, p - cumulated[j[-1]])
            quantiles.append(v[j[-1]] + part * (v[j[-1] + 1] - v[j[-1]]))
    return mean, sd, quantiles


def test_specification_suffices_to_predict(saved):
    taus = (0.037, 0.31, 0.513, 0.971)
    query = np.random.default_rng(4).normal(size=(25, 3)).astype(np.float32)
    found = predict_model(load_model(saved), query, taus, calibrated=False)
    for i, x in enumerate(query):
        mean, sd, quantiles = read_by_the_book(saved, x, taus)
        assert found.mean[i] == pytest.approx(mean, rel=1e-12)
        assert found.sd[i] == pytest.approx(sd, rel=1e-12)
        assert found.quantiles[i] == pytest.approx(quantiles, rel=1e-9)


def test_file_of_the_first_schema_is_still_read(root):
    path = root / "tests" / "data" / "schema1.smm"
    model = load_model(path)
    query = np.random.default_rng(5).normal(size=(10, 3)).astype(np.float32)
    found = predict_model(model, query, (0.05, 0.5, 0.95), calibrated=False)
    for i, x in enumerate(query):
        mean, _, quantiles = read_by_the_book(path, x, (0.05, 0.5, 0.95))
        assert found.mean[i] == pytest.approx(mean, rel=1e-12)
        assert found.quantiles[i] == pytest.approx(quantiles, rel=1e-9)
    assert model.names == NAMES
    assert model.training.station[0] == "Żółw 0"
    assert model.local.sum() == 10
    assert model.calibration == Calibration(MARGINS, None, MARGINS, "spiked")
