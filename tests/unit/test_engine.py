"""The compiled engine: the numbers of NumPy and of quantile-forest, wherever it keeps its code."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quantile_forest import RandomForestQuantileRegressor
from soil_moisture_mapper.plugin.core import kernel_cache
from soil_moisture_mapper.plugin.core.models import compact, engine
from soil_moisture_mapper.plugin.core.models.distribution import predict_forest
from soil_moisture_mapper.plugin.core.models.forest import LEAF, grow_forest
from soil_moisture_mapper.plugin.core.models.forest_arrays import pack_forest, unpack_forest

MANY = tuple(np.linspace(0, 1, 41))
NAMES = ("mean", "sd", "quantiles")
needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")


def table(n=200, p=4, seed=3, decimals=None):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)).astype(np.float32)
    y = 0.3 + 0.05 * X[:, 0] + 0.04 * rng.normal(size=n)
    return X, y if decimals is None else np.round(y, decimals)


def fresh_kernels():
    return kernel_cache.Kernels("compiled", engine.__package__)


def both(forest, X, quantiles, **options):
    """Return the compiled engine's prediction and NumPy's."""
    assert engine.engine_name() == "compiled"
    fast = predict_forest(forest, X, quantiles, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(kernel_cache.SWITCH, "numpy")
        assert engine.engine_name() == "numpy"
        return fast, predict_forest(forest, X, quantiles, **options)


def assert_same(forest, X, quantiles, tolerance=1e-12, **options):
    fast, plain = both(forest, X, quantiles, **options)
    assert np.array_equal(fast.mean, plain.mean)
    assert np.array_equal(fast.sd, plain.sd)
    assert np.abs(fast.quantiles - plain.quantiles).max(initial=0) <= tolerance


@st.composite
def forests(draw):
    """Training rows with ties, repeated rows, weights, and queries on the thresholds."""
    n = draw(st.integers(1, 80))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    X = rng.integers(0, draw(st.sampled_from([2, 6, 1000])), size=(n, 3)).astype(np.float32)
    y = rng.integers(0, draw(st.sampled_from([3, 12, 100_000])), size=n) / 7
    weight = rng.integers(1, 6, n) / 3 if draw(st.booleans()) else None
    forest = grow_forest(
        X,
        y,
        weight,
        trees=draw(st.integers(1, 12)),
        min_leaf=draw(st.integers(1, 8)),
        seed=draw(st.integers(0, 1000)),
    )
    inner = forest.feature != LEAF
    places = np.append(forest.threshold[inner], 0.5).astype(np.float32)
    beside = [np.nextafter(places, np.float32(end)) for end in (-np.inf, np.inf)]
    on_thresholds = rng.choice(np.concatenate([places, *beside]), size=(6, 3))
    return forest, np.concatenate([X[:5], on_thresholds])


@needs_numba
@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    made=forests(),
    quantiles=st.sampled_from([(), (0.5,), (0.95, 0.05), (0.0, 1.0), (0.05, 0.5, 0.95), MANY]),
    leaves=st.booleans(),
)
def test_compiled_engine_gives_the_numbers_of_numpy(made, quantiles, leaves):
    forest, query = made
    assert_same(forest, query, quantiles, 1e-9, weighted_leaves=leaves)


@needs_numba
@pytest.mark.parametrize("decimals", [None, 2])
@pytest.mark.parametrize("min_leaf", [1, 5, 60, 900])
@pytest.mark.parametrize("weighted", [False, True])
def test_larger_forests_agree(decimals, min_leaf, weighted):
    X, y = table(900, decimals=decimals)
    weight = np.random.default_rng(9).uniform(0.2, 5, len(y)) if weighted else None
    forest = grow_forest(X, y, weight, trees=25, min_leaf=min_leaf)
    assert_same(forest, table(600, seed=8)[0], MANY)


@needs_numba
def test_rows_of_least_moisture_agree_where_a_bin_holds_many_ranks():
    X, y = table(6000, p=1)
    forest = grow_forest(X, X[:, 0] + 0.001 * y, trees=25, min_leaf=4)
    lowest = np.sort(X, axis=0)[:200]
    assert_same(forest, lowest, np.linspace(0, 0.2, 21))


@needs_numba
def test_rows_drawn_more_often_than_an_entry_can_say():
    X, y = table(1000)
    weight = np.where(np.arange(1000) < 3, 3000.0, 1.0)
    forest = grow_forest(X, y, weight, trees=8, min_leaf=2)
    assert forest.store.count.max() > 2 * 2**compact.COUNT_BITS
    assert_same(forest, X, (0.05, 0.5, 0.95))


@pytest.mark.parametrize("name", ["compiled", "numpy"])
@pytest.mark.parametrize("min_leaf", [1, 10])
@pytest.mark.parametrize("leaves", [True, False])
def test_quantiles_and_mean_are_those_of_quantile_forest(monkeypatch, name, min_leaf, leaves):
    if name == "numpy":
        monkeypatch.setenv(kernel_cache.SWITCH, name)
    elif find_spec("numba") is None:
        pytest.skip("numba is not installed")
    X, y = table(500)
    query = table(100, seed=8)[0]
    reference = RandomForestQuantileRegressor(
        20, min_samples_leaf=min_leaf, max_features=1 / 3, random_state=5, max_samples_leaf=None
    ).fit(X, y)
    expected = reference.predict(query, quantiles=list(MANY), weighted_leaves=leaves)
    forest = grow_forest(X, y, trees=20, min_leaf=min_leaf, seed=5)
    found = predict_forest(forest, query, MANY, weighted_leaves=leaves)
    assert engine.engine_name() == name
    assert np.abs(found.quantiles - expected).max() <= 1e-9
    mean = reference.predict(query, quantiles="mean", weighted_leaves=leaves)
    assert np.abs(found.mean - mean).max() <= 1e-9


@needs_numba
def test_result_of_a_pixel_depends_on_no_other_block_order_or_thread():
    X, y = table(700)
    forest = grow_forest(X, y, trees=12, min_leaf=2)
    query = table(2100, seed=8)[0]
    whole = predict_forest(forest, query, MANY)
    order = np.random.default_rng(1).permutation(len(query))
    turned = predict_forest(forest, query[order], MANY)
    with ThreadPoolExecutor(3) as pool:
        parts = list(pool.map(lambda i: predict_forest(forest, query[i : i + 7], MANY),
                              range(0, 2100, 7)))  # fmt: skip
    for name in NAMES:
        expected = getattr(whole, name)
        assert np.array_equal(getattr(turned, name), expected[order])
        assert np.array_equal(np.concatenate([getattr(part, name) for part in parts]), expected)
    alone = predict_forest(forest, query, MANY[13:14]).quantiles[:, 0]
    assert np.array_equal(alone, whole.quantiles[:, 13])


@needs_numba
def test_arrays_of_a_file_give_the_same_bits():
    X, y = table(400)
    forest = grow_forest(X, y, trees=10, min_leaf=2)
    again = unpack_forest(pack_forest(forest), forest.features)
    for name in NAMES:
        before = getattr(predict_forest(forest, X, MANY), name)
        assert np.array_equal(getattr(predict_forest(again, X, MANY), name), before)


@needs_numba
def test_forest_without_rows_and_forest_of_stumps():
    X, y = table(60)
    assert_same(grow_forest(X, y, trees=4, keep_rows=False), X, ())
    assert_same(grow_forest(X, y, trees=4, min_leaf=60), X, (0.1, 0.9))
    assert_same(grow_forest(X[:1], y[:1], trees=3), X, (0.0, 0.5, 1.0))


def test_forest_too_wide_for_a_word_goes_to_numpy(monkeypatch):
    X, y = table(200)
    forest = grow_forest(X, y, trees=2, min_leaf=1)
    monkeypatch.setattr(compact, "_WORD_BITS", 9)
    assert compact.compact_forest(forest) is None
    expected = predict_forest(grow_forest(X, y, trees=2, min_leaf=1), X, MANY)
    assert expected.quantiles.shape == (200, 41)


@pytest.mark.parametrize("reason", ["missing", "broken"])
def test_numpy_stands_in_where_numba_cannot_be_used(monkeypatch, reason):
    monkeypatch.setattr(engine, "_kernels", fresh_kernels())
    if reason == "missing":
        monkeypatch.setattr(kernel_cache, "find_spec", lambda name: None)
    else:
        monkeypatch.setattr(kernel_cache, "find_spec", lambda name: name)

        def broken(name, package):
            raise ImportError("Numba needs NumPy 1.26 or less")

        monkeypatch.setattr(kernel_cache, "import_module", broken)
    assert engine.engine_name() == "numpy"
    X, y = table(50)
    assert predict_forest(grow_forest(X, y, trees=3), X, (0.5,)).quantiles.shape == (50, 1)


@pytest.fixture
def fresh_folder():
    kernel_cache.cache_folder.cache_clear()
    yield
    kernel_cache.cache_folder.cache_clear()


@pytest.mark.parametrize(
    ("platform", "variable", "end"),
    [
        ("linux", "XDG_CACHE_HOME", "soil-moisture-mapper"),
        ("win32", "LOCALAPPDATA", "soil-moisture-mapper"),
        ("darwin", "HOME", "Library/Caches/soil-moisture-mapper"),
        ("linux", "NUMBA_CACHE_DIR", ""),
    ],
)
def test_machine_code_is_kept_with_the_users_caches(
    monkeypatch, tmp_path, fresh_folder, platform, variable, end
):
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv(variable, str(tmp_path))
    assert kernel_cache.cache_folder() == tmp_path / end
    assert (tmp_path / end).is_dir()


def test_no_folder_no_cache(monkeypatch, tmp_path, fresh_folder):
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(blocked / "below"))
    assert kernel_cache.cache_folder() is None


@needs_numba
def test_other_users_of_numba_keep_their_setting(monkeypatch, tmp_path, fresh_folder):
    from numba.core import config

    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    before = config.CACHE_DIR
    with kernel_cache.own_cache():
        assert str(tmp_path / "soil_moisture_mapper") == config.CACHE_DIR
    assert before == config.CACHE_DIR


@needs_numba
def test_code_is_compiled_once_and_never_beside_the_sources(root: Path, tmp_path: Path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import clone_package\n"
        "clone_package.register()\n"
        "import numpy as np\n"
        "from soil_moisture_mapper.plugin.core.models import forest, distribution, compiled\n"
        "X = np.arange(40, dtype='float32').reshape(20, 2)\n"
        "distribution.predict_forest(forest.grow_forest(X, X[:, 0], trees=2), X, [0.5])\n"
        "stats = compiled.predict_compiled.stats\n"
        "print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    environment.pop(kernel_cache.SWITCH, None)
    command = [sys.executable, "-c", script, str(root / "scripts")]
    seen = [
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert [text.split() for text in seen] == [["0", "1"], ["1", "0"]]
    assert list(tmp_path.rglob("*.nbi"))
    assert not list((root / "plugin").rglob("*.nb[ic]"))


@needs_numba
def test_a_numba_that_cannot_compile_leaves_the_work_to_numpy(monkeypatch):
    from soil_moisture_mapper.plugin.core.models import compiled

    def fail(*_arguments):
        raise compiled.NumbaError("no such type")

    X, y = table()
    forest = grow_forest(X, y, trees=5, min_leaf=3, seed=1)
    expected = predict_forest(forest, X, (0.1, 0.5)).quantiles
    monkeypatch.setattr(compiled, "predict_compiled", fail)
    monkeypatch.setattr(engine, "_kernels", fresh_kernels())
    np.testing.assert_allclose(
        predict_forest(forest, X, (0.1, 0.5)).quantiles, expected, atol=1e-12
    )
    assert engine.engine_name() == "numpy"
