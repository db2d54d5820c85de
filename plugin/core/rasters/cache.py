"""How much memory GDAL may fill with blocks it has read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import rasterio

CACHE_BYTES = 128 * 2**20


@contextlib.contextmanager
def bounded_cache() -> Iterator[None]:
    """Keep GDAL's block cache small inside.

    By default it is 5 % of the machine's memory, and a large map fills it with cells that no
    block reads again.
    """
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
        yield
