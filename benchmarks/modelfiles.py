"""The model file beside a joblib dump of the same forest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median

import joblib

from ..plugin.core.models.modelfile import load_model
from . import timing
from .forests import Files
from .memory import run_fresh
from .table import Target

_RUNS = 3


def of_files(files: Files, say: Callable[[str], None]) -> list[Target]:
    """Return the targets on size and load time; the joblib dump's load time is said beside."""
    say("sizes and load times of files")
    sizes = [path.stat().st_size for path in (files.ours, files.theirs)]
    loads = {
        path: median(run_fresh("load", str(path))["seconds"] for _ in range(_RUNS))
        for path in (files.ours, files.theirs)
    }
    text = f"({sizes[0] / 1e6:.1f} MB against {sizes[1] / 1e6:.0f} MB)"
    other = f"(joblib dump: {loads[files.theirs]:.2f} s)"
    return [
        Target(f".smm without training rows against a joblib dump {text}", 0.2,
               sizes[0] / sizes[1], most=True),
        Target(f".smm loads {other}", 1, loads[files.ours], most=True, unit="s"),
    ]  # fmt: skip


def child_load(path: str) -> dict:
    """Load a file; runs in a fresh process, imports not counted."""
    load = load_model if path.endswith(".smm") else joblib.load
    return {"seconds": timing.seconds_of(lambda: load(Path(path)))}
