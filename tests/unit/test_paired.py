"""Signed-rank tests against R's wilcox.test, SciPy and the definition."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from soil_moisture_mapper.plugin.core.evaluation.paired import (
    PairedTest,
    paired_tests,
    signed_rank_test,
    walsh_averages,
)

# Hollander & Wolfe's depression scores, the example of R's ?wilcox.test
FIRST = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
SECOND = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]

# R 4.2: wilcox.test(z, conf.int = TRUE): p, interval, (pseudo)median
R_RESULTS = [
    ([-0.326, 0.484, -0.536, 1.895, 0.63, -0.52], 0.6875, -0.536, 1.895, 0.079),
    ([0.787, 1.038, 0.876, -0.005, 1.812, 0.69, -0.321], 0.078125, -0.005, 1.344, 0.76425),
    (
        [-1.915, 1.425, 0.255, 0.284, 1.244, 1.121, 0.894, 1.219, 1.082, 0.375, -1.689, 0.92],
        0.2333984375,
        -0.397,
        1.1505,
        0.7155,
    ),
    (
        [
            *[0.244, 0.144, -1.171, -0.178, 0.718, 1.659, 0.197, 0.688, 0.246, -1.077],
            *[-0.115, -0.094, 0.241, 1.4, 1.063, 0.135, 0.047, 0.997, 0.857, -0.389],
            *[-0.407, 0.665, 1.069, 0.188, 1.181, 0.698, -0.312, 0.641, -0.829, 1.733],
        ],
        0.0208498518914,
        0.052,
        0.652,
        0.356,
    ),
]


def test_depression_scores_give_the_published_result():
    names = [f"patient {i}" for i in range(9)]
    found = paired_tests(dict(zip(names, SECOND)), dict(zip(names, FIRST)))
    assert found.n == 9
    assert found.p == pytest.approx(2 * 0.01953125)
    assert found.shift == pytest.approx(0.46)
    assert (found.low, found.high) == pytest.approx((0.010, 0.786))


@pytest.mark.parametrize(("values", "p", "low", "high", "shift"), R_RESULTS)
def test_results_of_r(values, p, low, high, shift):
    found = signed_rank_test(np.array(values))
    assert found.p == pytest.approx(p, rel=1e-9)
    assert (found.low, found.high, found.shift) == pytest.approx((low, high, shift))


@given(st.integers(6, 40), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_p_is_scipys_exact_p(n, seed):
    values = np.random.default_rng(seed).normal(0.3, 1.0, n)
    expected = stats.wilcoxon(values, method="exact").pvalue
    assert signed_rank_test(values).p == pytest.approx(expected)


def test_ties_are_exact_by_enumeration():
    values = np.array([0.1, 0.1, -0.1, 0.2, 0.2, 0.3, -0.05])
    ranks = stats.rankdata(np.abs(values))
    observed = ranks[values > 0].sum()
    sums = [np.dot(signs, ranks) for signs in product([0, 1], repeat=7)]
    smaller = min(observed, ranks.sum() - observed)
    expected = 2 * np.mean([total <= smaller for total in sums])
    assert signed_rank_test(values).p == pytest.approx(expected)


def test_many_stations_use_the_normal_distribution_of_scipy():
    values = np.round(np.random.default_rng(5).normal(0.02, 0.2, 400), 2)
    values = values[values != 0]
    expected = stats.wilcoxon(values, correction=True, method="approx").pvalue
    found = signed_rank_test(values)
    assert found.p == pytest.approx(expected, rel=1e-6)
    assert found.low < found.shift < found.high


def test_walsh_averages_by_hand():
    assert walsh_averages(np.array([4.0, 0.0, 1.0])).tolist() == [0.0, 0.5, 1.0, 2.0, 2.5, 4.0]


def test_below_six_stations_there_is_a_shift_but_no_p_and_no_interval():
    found = signed_rank_test(np.array([0.1, 0.2, 0.3, 0.4, 0.5]))
    assert found == PairedTest(5, None, pytest.approx(0.3), None, None)


def test_only_stations_with_both_values_count():
    before = {"a": 0.1, "b": 0.2, "c": np.nan, "d": 0.4}
    after = {"a": 0.2, "b": 0.4, "c": 0.1, "e": 0.5}
    assert paired_tests(before, after) == PairedTest(2, None, pytest.approx(0.15), None, None)
    assert paired_tests({}, after).n == 0


def test_stations_without_any_difference_have_no_p():
    found = signed_rank_test(np.zeros(8))
    assert (found.p, found.shift, found.low, found.high) == (None, 0.0, 0.0, 0.0)


@given(st.lists(st.floats(-1, 1, allow_nan=False, width=32), min_size=6, max_size=25))
@settings(max_examples=60, deadline=None)
def test_exchanging_before_and_after_turns_the_shift_round(values):
    one, other = signed_rank_test(np.array(values)), signed_rank_test(-np.array(values))
    assert one.p == other.p
    assert one.shift == pytest.approx(-other.shift)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
