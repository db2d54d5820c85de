"""Threads that compute blocks of a raster while the calling thread takes the results in order."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from ..errors import Cancelled
from ..progress import Progress

_POLL_SECONDS = 0.2

Item = TypeVar("Item")
Result = TypeVar("Result")


def compute_in_order(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    take: Callable[[Item, Result], None],
    threads: int,
    progress: Progress | None = None,
) -> None:
    """Compute each item in a thread and take the results in the order of the items.

    As `results_in_order`, for work that is short enough to be waited for.

    Parameters
    ----------
    work : callable
        Called in a thread.
    take : callable
        Called with an item and its result in the calling thread.
    """

    def begin(item: Item, _: threading.Event) -> tuple[Item, Result]:
        return item, work(item)

    with contextlib.closing(results_in_order(begin, items, threads, progress)) as results:
        for item, result in results:
            take(item, result)


def results_in_order(
    work: Callable[[Item, threading.Event], Result],
    items: Iterable[Item],
    threads: int,
    progress: Progress | None = None,
) -> Generator[Result, None, None]:
    """Compute each item in a thread and yield the results in the order of the items.

    The calling thread alone gets them, so what it writes has the same bytes in every run. No more
    than twice as many results as threads wait for it, so memory does not grow. After an error, a
    cancel or an early end no further item is begun, those under way are told, and waited for. Close
    the iterator before anything that `work` uses.

    Parameters
    ----------
    work : callable
        Called in a thread, with an item and an event that is set when it should stop.
    items : iterable
        What to compute, such as windows.
    threads : int
        How many items are computed at a time, at least 1.
    progress : Progress, optional
        Asked for cancel while waiting; reporting is left to the caller.
    """
    progress = progress or Progress()
    threads = max(1, threads)
    stop = threading.Event()
    waiting: deque[Future[Result]] = deque()
    todo = iter(items)

    def begin(item: Item) -> Result:
        if stop.is_set():
            raise Cancelled
        return work(item, stop)

    with ThreadPoolExecutor(max_workers=threads) as pool:
        try:
            while True:
                for item in itertools.islice(todo, 2 * threads - len(waiting)):
                    waiting.append(pool.submit(begin, item))
                if not waiting:
                    return
                progress.check()
                if wait([waiting[0]], timeout=_POLL_SECONDS).done:
                    yield waiting.popleft().result()
        finally:
            stop.set()
            for future in waiting:
                future.cancel()
