"""Which of the plugin's two paths computes a prediction."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from ..plugin.core import kernel_cache
from ..plugin.core.models import engine


def has_compiled() -> bool:
    """Whether the compiled engine is there: it needs numba."""
    with forced(compiled=True):
        return engine.engine_name() == "compiled"


@contextlib.contextmanager
def forced(*, compiled: bool) -> Iterator[None]:
    """Hold predictions to one path."""
    before = os.environ.pop(kernel_cache.SWITCH, None)
    if not compiled:
        os.environ[kernel_cache.SWITCH] = "numpy"
    try:
        yield
    finally:
        os.environ.pop(kernel_cache.SWITCH, None)
        if before is not None:
            os.environ[kernel_cache.SWITCH] = before
