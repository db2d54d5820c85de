"""Blocks computed in threads are taken in order, few at a time, and stop after an error."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest
from soil_moisture_mapper.plugin.core.errors import Cancelled
from soil_moisture_mapper.plugin.core.progress import Progress
from soil_moisture_mapper.plugin.core.rasters.workers import compute_in_order, results_in_order


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_are_taken_in_order_by_the_caller(threads):
    taken = []

    def work(number):
        time.sleep(0.002 * (number % 3))
        return number**2, threading.get_ident()

    def take(number, result):
        assert threading.get_ident() != result[1]
        taken.append((number, result[0]))

    compute_in_order(work, range(30), take, threads)
    assert taken == [(number, number**2) for number in range(30)]


def test_no_more_results_wait_than_twice_the_threads():
    begun = []

    def take(number, _):
        time.sleep(0.01)
        assert len(begun) <= number + 1 + 2 * 2

    compute_in_order(begun.append, range(40), take, 2)
    assert len(begun) == 40


@pytest.mark.parametrize("where", ["work", "take"])
def test_after_an_error_nothing_more_is_begun(where):
    begun = []

    def work(number):
        begun.append(number)
        if where == "work" and number == 5:
            raise ValueError("five")

    def take(number, _):
        if where == "take" and number == 5:
            raise ValueError("five")

    with pytest.raises(ValueError, match="five"):
        compute_in_order(work, range(1000), take, 2)
    assert 5 < len(begun) + 1 <= 5 + 1 + 2 * 2 + 1
    assert not any("ThreadPool" in thread.name for thread in threading.enumerate())


def test_cancel_ends_the_wait_for_a_slow_block():
    class Stopped(Progress):
        asked = 0

        @property
        def cancelled(self):
            self.asked += 1
            return self.asked > 2

    release = threading.Event()
    threading.Timer(1.0, release.set).start()
    started = time.perf_counter()
    with pytest.raises(Cancelled):
        compute_in_order(lambda _: release.wait(5), range(9), lambda *_: None, 2, Stopped())
    assert time.perf_counter() - started < 3.0


def test_nothing_to_do():
    compute_in_order(lambda _: 1 / 0, [], lambda *_: None, 2)


def test_work_under_way_is_told_when_the_caller_ends_early():
    begun, told = threading.Event(), []

    def work(number, stop):
        if number:
            begun.set()
            told.append(stop.wait(5))
        return number

    with contextlib.closing(results_in_order(work, range(9), 2)) as results:
        assert next(results) == 0
        assert begun.wait(5)
    assert told and all(told)
    assert len(told) <= 2
