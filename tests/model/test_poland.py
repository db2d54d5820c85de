"""Spiking on real fields: five areas in Poland, each mapped by a model of the other four.

Reference figures (quantile-forest 1.4.2, 15 draws): RMSE of global, pooled spiking and local alone
0.101, 0.088, 0.099 (Kędzierzyn), 0.087, 0.078, 0.092 (Obory), 0.066, 0.054, 0.043 (Brwinow).
"""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from soil_moisture_mapper.plugin.core.models.heldout import ForestSettings
from soil_moisture_mapper.plugin.core.models.spiking import SpikeSettings, spike_model
from soil_moisture_mapper.plugin.core.models.training import TrainSettings, train_model

pytestmark = pytest.mark.model
DRAWS = 4
REFERENCE = {
    "KEDZIERZYN": (0.101, 0.088, 0.099),
    "OBORY": (0.087, 0.078, 0.092),
    "BRWINOW": (0.066, 0.054, 0.043),
}


@pytest.fixture(scope="module")
def benchmark(root):
    spec = importlib.util.spec_from_file_location("poland", root / "benchmarks/skill/poland.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows(benchmark, shared_data):
    return benchmark.read_rows(shared_data / "poland_s1" / "table.csv")


@pytest.fixture(scope="module")
def results(benchmark, rows):
    """Four draws an area, 8 spike fields, pooled at weight 1 as in the reference."""
    forest = ForestSettings(trees=80, min_leaf=3, max_features=0.5)
    found = {}
    for area, tested in benchmark.AREAS.items():
        local = rows.take(rows.network == area)
        base = train_model(rows.take(rows.network != area), TrainSettings(forest=forest)).model
        fields = sorted(set(local.station))
        found[area] = []
        for draw in range(DRAWS):
            order = np.random.default_rng(draw).permutation(fields)
            found[area].append(
                spike_model(
                    base,
                    local.take(np.isin(local.station, order[tested : tested + 8])),
                    SpikeSettings(),
                    validation=local.take(np.isin(local.station, order[:tested])),
                )
            )
    return found


def test_table_has_the_complete_rows_of_its_readme(rows):
    assert len(rows) == 816


@pytest.mark.parametrize("area", REFERENCE)
def test_rmse_is_near_the_reference(benchmark, results, area):
    def mean_rmse(kind):
        return np.mean([benchmark.score(getattr(r, kind))["rmse"] for r in results[area]])

    world, pooled, local = REFERENCE[area]
    # Four draws of fifteen and fewer trees: the means of fifteen differ by at most 0.012.
    assert mean_rmse("validate_before") == pytest.approx(world, abs=0.012)
    assert mean_rmse("validate_local") == pytest.approx(local, abs=0.015)
    assert mean_rmse("validate_after") < mean_rmse("validate_before")
    assert mean_rmse("validate_after") < pooled + 0.012


@pytest.mark.parametrize("area", REFERENCE)
def test_calibrated_interval_covers_other_fields(benchmark, results, area):
    coverage = [benchmark.interval(r.validate_after, True)[0] for r in results[area]]
    raw = [benchmark.interval(r.validate_after, False)[0] for r in results[area]]
    assert 0.80 <= np.mean(coverage) <= 0.99
    assert np.mean(coverage) >= np.mean(raw)


def test_local_alone_wins_at_brwinow_and_is_said_to_in_some_draws(benchmark, results):
    local = [benchmark.score(r.validate_local)["rmse"] for r in results["BRWINOW"]]
    spiked = [benchmark.score(r.validate_after)["rmse"] for r in results["BRWINOW"]]
    assert np.mean(local) < np.mean(spiked)
    assert any(r.verdict.local_may_do_better for r in results["BRWINOW"])
