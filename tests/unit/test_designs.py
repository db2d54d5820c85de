"""Designs against scikit-learn, direct computation and what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist, pdist
from sklearn.cluster import KMeans
from soil_moisture_mapper.plugin.core.errors import Cancelled, InputError
from soil_moisture_mapper.plugin.core.progress import Progress, RecordingProgress
from soil_moisture_mapper.plugin.core.stations.design.coverage import k_means, settle
from soil_moisture_mapper.plugin.core.stations.design.designs import (
    METHODS,
    BaseRows,
    base_dissimilarity,
    choose_sites,
)
from soil_moisture_mapper.plugin.core.stations.design.designs_sites import (
    Sites,
    Spacing,
    mean_nearest,
    pack,
    standardise,
)
from soil_moisture_mapper.plugin.core.stations.design.latin_hypercube import (
    hypercube,
    weighted_quantiles,
)


def make_sites(points, kept=(), preference=None, classes=(), spacing=None):
    points = np.asarray(points, dtype=float)
    chosen = np.zeros(len(points), dtype=bool)
    chosen[list(kept)] = True
    everyone = np.ones(len(points), dtype=bool)
    return Sites(points, ~chosen, chosen, everyone, preference, classes, spacing)


def blobs(n=150, seed=0, covariates=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, covariates)) + 4 * rng.integers(0, 3, size=(n, 1))


@pytest.mark.parametrize("seed", range(5))
def test_settling_is_scikit_learns_lloyd(seed):
    rng = np.random.default_rng(seed)
    points, weight = blobs(seed=seed), rng.uniform(0.1, 3, size=150)
    start = points[rng.choice(150, 7, replace=False)]
    found = settle(points, weight, start)
    oracle = KMeans(7, init=start, n_init=1, tol=0, max_iter=300, algorithm="lloyd")
    oracle.fit(points, sample_weight=weight)
    np.testing.assert_allclose(found.centres, oracle.cluster_centers_, rtol=1e-9, atol=1e-9)
    assert found.inertia == pytest.approx(oracle.inertia_, rel=1e-9)
    assert (found.label == oracle.labels_).all()


def test_starts_are_as_good_as_those_of_scikit_learn():
    ratios = []
    for seed in range(6):
        points = np.random.default_rng(seed).normal(size=(200, 4))
        found = k_means(points, 10, np.random.default_rng(seed)).inertia
        ratios.append(found / KMeans(10, n_init=10, random_state=seed).fit(points).inertia_)
    assert np.mean(ratios) < 1.02


def test_fixed_centres_stay_and_the_others_are_means_of_their_members():
    points = blobs()
    fixed = np.array([[0.0, 0, 0], [9, 9, 9]])
    found = k_means(points, 5, np.random.default_rng(1), fixed=fixed)
    assert (found.centres[:2] == fixed).all()
    assert (found.label == cdist(points, found.centres).argmin(axis=1)).all()
    for centre in range(2, 7):
        members = points[found.label == centre]
        np.testing.assert_allclose(found.centres[centre], members.mean(axis=0), atol=1e-9)


def test_coverage_takes_the_one_place_of_each_group():
    groups = np.repeat([[0.0, 0], [10, 0], [0, 10], [10, 10]], 5, axis=0)
    offsets = np.tile([[0.0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], (4, 1))
    sites = make_sites(groups + offsets)
    # the middle one of each group of five is nearest to its centre
    assert choose_sites(sites, 4, "coverage", 1).tolist() == [0, 5, 10, 15]
    # with one of the first group chosen already, the other three groups get one each
    kept = make_sites(groups + offsets, kept=[1])
    assert choose_sites(kept, 3, "coverage", 1).tolist() == [5, 10, 15]


@pytest.mark.parametrize("covariates", [2, 6])
def test_coverage_lies_nearer_to_all_places_than_random_choices(covariates):
    points = blobs(120, 3, covariates)
    own = mean_nearest(points, points[choose_sites(make_sites(points), 10, "coverage", 1)])
    drawn = [
        mean_nearest(points, points[choose_sites(make_sites(points), 10, "random", seed)])
        for seed in range(50)
    ]
    assert own < min(drawn)


def direct_objective(points, sample, classes):
    """The objective of Minasny & McBratney (2006) with all weights 1, term by term."""
    k = len(sample)
    value = 0.0
    for column in points.T:
        edges = np.quantile(column, np.linspace(0, 1, k + 1))
        edges[0], edges[-1] = -np.inf, np.inf
        for low, high in zip(edges[:-1], edges[1:]):
            value += abs(((column[sample] >= low) & (column[sample] < high)).sum() - 1)
    for code in np.unique(classes):
        value += abs((classes[sample] == code).mean() - (classes == code).mean())
    difference = np.corrcoef(points[sample].T) - np.corrcoef(points.T)
    return value + np.abs(difference).sum()


@pytest.mark.parametrize("seed", range(3))
def test_objective_of_the_hypercube(seed):
    points = blobs(60, seed)
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, 60)
    cube = hypercube(make_sites(points, classes=(classes,)), 8)
    for _ in range(5):
        sample = rng.choice(60, 8, replace=False)
        expected = direct_objective(points, sample, classes)
        assert cube.objective(sample) == pytest.approx(expected, abs=1e-9)


def test_hypercube_counts_places_by_their_preference():
    # a place of preference 3 is like three places
    points, codes = blobs(40), np.arange(40) % 3
    times = 1 + np.arange(40) % 4
    preferring = hypercube(make_sites(points, preference=times * 0.1, classes=(codes,)), 6)
    repeated = np.repeat(points, times, axis=0)
    np.testing.assert_allclose(preferring.correlation, np.corrcoef(repeated.T), atol=1e-12)
    np.testing.assert_allclose(
        preferring.shares[0], np.bincount(np.repeat(codes, times)) / times.sum()
    )
    for column in range(3):
        stratum = preferring.cell[:, column] - 6 * column
        held = np.bincount(stratum, times, 6) / times.sum()
        assert np.abs(held - 1 / 6).max() <= 4 / times.sum()


def test_quantiles_of_equal_weights_are_numpys():
    values, levels = blobs(31)[:, 0], np.linspace(0.05, 0.95, 7)
    near_equal = np.full(31, 2.0)
    near_equal[0] += 1e-13
    found = weighted_quantiles(values, near_equal, levels)
    np.testing.assert_allclose(found, np.quantile(values, levels), rtol=1e-9)


def test_annealing_finds_the_perfect_hypercube():
    # one covariate in equal steps: one place in each of 8 strata makes the objective 0
    points = np.arange(40.0)[:, None]
    sites = make_sites(points)
    chosen = choose_sites(sites, 8, "lhs", 3)
    assert (chosen // 5).tolist() == list(range(8))
    assert hypercube(sites, 8).objective(chosen) == pytest.approx(0, abs=1e-9)


def test_annealing_makes_up_for_places_chosen_already():
    points = np.arange(40.0)[:, None]
    chosen = choose_sites(make_sites(points, kept=[0, 39]), 6, "lhs", 3)
    assert (chosen // 5).tolist() == list(range(1, 7))


def test_annealing_beats_random_choices():
    points, classes = blobs(100, 1, 5), np.arange(100) % 3
    sites = make_sites(points, classes=(classes,))
    cube = hypercube(sites, 12)
    annealed = [cube.objective(choose_sites(sites, 12, "lhs", seed)) for seed in range(2)]
    drawn = [cube.objective(choose_sites(sites, 12, "random", seed)) for seed in range(100)]
    assert max(annealed) < 0.7 * np.mean(drawn)
    assert max(annealed) < min(drawn)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(6, 60),
    st.sampled_from([m for m in METHODS if m != "lhs"]),
    st.integers(0, 999),
    st.booleans(),
    st.data(),
)
def test_choices_are_new_whole_and_repeatable(n, method, seed, preferred, data):
    rng = np.random.default_rng(n)
    kept = data.draw(st.sets(st.integers(0, n - 1), max_size=n // 2))
    count = data.draw(st.integers(0, n - len(kept)))
    preference = rng.random(n) if preferred else None
    sites = make_sites(rng.integers(0, 4, size=(n, 2)), kept, preference)
    chosen = choose_sites(sites, count, method, seed)
    assert len(set(chosen.tolist()) - kept) == len(chosen) == count
    assert (chosen == choose_sites(sites, count, method, seed)).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("distance", [25.0, 60.0])
def test_choices_keep_their_distance(method, distance):
    rng = np.random.default_rng(7)
    positions = rng.uniform(0, 300, size=(200, 2))
    sites = make_sites(blobs(200), spacing=Spacing(positions, distance))
    for count in (5, len(pack(sites, 200)) - 1):
        chosen = choose_sites(sites, count, method, 1)
        assert len(chosen) == count
        assert pdist(positions[chosen]).min() >= distance


@pytest.mark.parametrize("method", METHODS)
def test_as_many_as_fit_are_placed_and_no_more(method):
    # ten places 10 m apart: at 25 m every third may be taken, four in all
    positions = np.column_stack([np.arange(10) * 10.0, np.zeros(10)])
    sites = make_sites(blobs(10), spacing=Spacing(positions, 25.0))
    for seed in range(5):
        assert choose_sites(sites, 4, method, seed).tolist() == [0, 3, 6, 9]
    with pytest.raises(InputError, match="only 4 places at least 25 m apart were found"):
        choose_sites(sites, 5, method, 1)
    # a distance that is just met is kept
    exact = make_sites(blobs(10), spacing=Spacing(positions, 30.0))
    assert len(choose_sites(exact, 4, method, 1)) == 4


def test_more_places_than_there_are_is_refused():
    message = "COUNT is 11, but there are 10 places to choose from. Choose a smaller COUNT."
    with pytest.raises(InputError, match=message):
        choose_sites(make_sites(blobs(10)), 11, "coverage", 1)


def test_random_chance_is_proportional_to_the_preference():
    sites = make_sites(np.zeros((3, 1)), preference=np.array([1.0, 3.0, 0.0]))
    drawn = [choose_sites(sites, 1, "random", seed)[0] for seed in range(2000)]
    assert np.mean(np.array(drawn) == 1) == pytest.approx(0.75, abs=0.04)
    assert 2 not in drawn
    # what is not wanted comes last, but comes
    assert choose_sites(sites, 3, "random", 1).tolist() == [0, 1, 2]


@pytest.mark.parametrize("method", METHODS)
def test_preferred_places_are_chosen_more_often(method):
    points = blobs(80, 2)
    preference = np.exp(points[:, 0] / 3)
    plain, preferring = make_sites(points), make_sites(points, preference=preference)
    seeds = range(2 if method == "lhs" else 20)
    without = [preference[choose_sites(plain, 8, method, seed)].mean() for seed in seeds]
    with_it = [preference[choose_sites(preferring, 8, method, seed)].mean() for seed in seeds]
    assert np.mean(with_it) > 1.15 * np.mean(without)


def test_covariates_are_standardised_over_the_population():
    X = np.array([[1.0, 5, 0.1], [3, 5, 0.1], [5, 5, 0.1], [100, 7, 0.1]])
    points, varies = standardise(X, np.array([True, True, True, False]))
    assert varies.tolist() == [True, False, False]
    scale = np.sqrt(8 / 3)
    np.testing.assert_allclose(points[:, 0], [-2 / scale, 0, 2 / scale, 97 / scale])


def test_dissimilarity_to_the_rows_of_a_model():
    rng = np.random.default_rng(1)
    training, X = rng.normal(size=(30, 2)) * [1, 9], rng.normal(size=(7, 3)) * 5
    progress = RecordingProgress()
    base = BaseRows(np.column_stack([training, np.full(30, 4.0)]), ("clay", "twi", "sand"))
    found = base_dissimilarity(base, X, ["twi", "sand", "clay"], 42, progress)
    centre, scale = training.mean(axis=0), training.std(axis=0, ddof=1)
    known, new = (training - centre) / scale, (X[:, [2, 0]] - centre) / scale
    np.testing.assert_allclose(found, cdist(new, known).min(axis=1) / pdist(known).mean())
    assert progress.warnings == ["Constant in the training rows of BASE_MODEL, left out: sand."]


def test_dissimilarity_uses_what_both_have():
    base = BaseRows(np.array([[0.0, 1], [2, 5], [4, 3]]), ("clay", "smap"))
    progress = RecordingProgress()
    found = base_dissimilarity(base, np.array([[4.0], [8]]), ["clay"], 42, progress)
    # deviation 2, mean distance (1 + 1 + 2) / 3
    np.testing.assert_allclose(found, [0, 2 / (4 / 3)])
    assert "leaves out its covariates smap" in progress.messages[0]
    with pytest.raises(InputError, match="BASE_MODEL has none of the covariates"):
        base_dissimilarity(base, np.zeros((1, 1)), ["sand"], 42)


class Stop(Progress):
    cancelled = True


@pytest.mark.parametrize("method", ["coverage", "lhs"])
def test_designs_can_be_cancelled(method):
    with pytest.raises(Cancelled):
        choose_sites(make_sites(blobs()), 10, method, 1, Stop())
