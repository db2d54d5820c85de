"""Which of the plugin's two paths computes a prediction."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from ..plugin.core.models import engine


def has_compiled() -> bool:
    """Whether the compiled engine is there: it needs numba."""
    with forced(compiled=True):
        return engine.engine_name() == "compiled"


@contextlib.contextmanager
def forced(*, compiled: bool) -> Iterator[None]:
    """Hold predictions to one path."""
    before = os.environ.pop(engine.SWITCH, None)
    if not compiled:
        os.environ[engine.SWITCH] = "numpy"
    try:
        yield
    finally:
        os.environ.pop(engine.SWITCH, None)
        if before is not None:
            os.environ[engine.SWITCH] = before
