"""Threads that compute blocks of a raster while the calling thread takes the results in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
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

    The calling thread alone takes, so what it writes has the same bytes in every run. No more
    than twice as many results as threads wait for it, so memory does not grow. After an error or
    a cancel no further item is begun, and those under way are waited for.

    Parameters
    ----------
    work : callable
        Called in a thread.
    items : iterable
        What to compute, such as windows.
    take : callable
        Called with an item and its result in the calling thread.
    threads : int
        How many items are computed at a time, at least 1.
    progress : Progress, optional
        Asked for cancel while waiting; reporting is left to `take`.
    """
    progress = progress or Progress()
    stop = threading.Event()
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    todo = iter(items)

    def begin(item: Item) -> Result:
        if stop.is_set():
            raise Cancelled
        return work(item)

    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        try:
            while True:
                while len(waiting) < 2 * max(1, threads):
                    try:
                        item = next(todo)
                    except StopIteration:
                        break
                    waiting.append((item, pool.submit(begin, item)))
                if not waiting:
                    return
                progress.check()
                if wait([waiting[0][1]], timeout=_POLL_SECONDS).done:
                    item, future = waiting.popleft()
                    take(item, future.result())
        except BaseException:
            stop.set()
            for _, future in waiting:
                future.cancel()
            raise
