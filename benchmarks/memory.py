"""Peak memory of a peer, each in a fresh process that loads its forest and predicts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np

from ..plugin.core.models.modelfile import load_model
from . import data, peers
from .forests import Files

PIXELS = 16_384
_START = Path(__file__).with_name("start.py")


def peak_megabytes() -> float:
    """Return the most memory this process has held, MB (Linux: other than getrusage's number,
    this one does not begin with that of the parent)."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def run_fresh(*arguments: str) -> dict:
    """Run one measurement in a fresh process; return what it says."""
    command = [sys.executable, str(_START), "--child", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def peak_of(peer: str, files: Files, folder: Path) -> float:
    """Return the peak memory in MB of loading the peer's forest and predicting 16 384 pixels."""
    return run_fresh("peer", peer, str(files.ours), str(files.theirs), str(folder))["peak"]


def child_peer(peer: str, ours: str, theirs: str, folder: str) -> dict:
    """Measure one peer; runs in the fresh process."""
    forests: dict[str, object] = {"ours": None, "theirs": None}
    if peer in (peers.ENGINE, peers.NUMPY):
        forests["ours"] = load_model(Path(ours)).forest
    else:
        forests["theirs"] = joblib.load(theirs)
    run = peers.run_of(peer, forests, Path(folder))
    run(np.ascontiguousarray(data.random_pixels(PIXELS)))
    return {"peak": peak_megabytes()}
