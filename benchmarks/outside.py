"""Peers that are programs of their own: R's ranger with terra, and Orfeo ToolBox."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import rasterio

from . import data

RANGER = "R ranger + terra"
OTB = "OTB, mean only"
_SCRIPT = Path(__file__).with_name("ranger.R")


@dataclass(frozen=True)
class Measured:
    """Median seconds for a raster, and peak memory in MB, None if not known."""

    seconds: float
    peak: float | None


def missing(peer: str) -> str:
    """Return what is not installed for a peer; empty where all is."""
    if peer == OTB:
        return "" if shutil.which("otbcli_ImageRegression") else "otbcli_ImageRegression"
    if not shutil.which("Rscript"):
        return "Rscript"
    asked = 'cat(all(c("ranger", "terra") %in% rownames(installed.packages())))'
    done = subprocess.run(["Rscript", "-e", asked], capture_output=True, text=True)
    return "" if done.stdout.strip().endswith("TRUE") else "the R packages ranger and terra"


def measure(peer: str, rows: data.Rows, raster: Path, runs: int, folder: Path) -> Measured:
    """Train a peer on the rows (not timed) and let it predict the raster `runs` times."""
    return (_ranger if peer == RANGER else _otb)(rows, raster, runs, folder)


def _ranger(rows: data.Rows, raster: Path, runs: int, folder: Path) -> Measured:
    table, model = folder / "ranger.csv", folder / "ranger.rds"
    names = ",".join(["moisture", *(f"c{i:02d}" for i in range(rows.X.shape[1]))])
    both = np.column_stack([rows.y, rows.X])
    np.savetxt(table, both, fmt="%.9g", delimiter=",", header=names, comments="")
    tried = int(data.MAX_FEATURES * data.COVARIATES)
    settings = [str(number) for number in (data.TREES, data.MIN_LEAF, tried, data.SEED)]
    script = str(_SCRIPT)
    _call("Rscript", script, "train", str(table), str(model), *settings)
    out = str(folder / "ranger.tif")
    said = _call("Rscript", script, "predict", str(model), str(raster), out, str(runs))
    found = json.loads(said.splitlines()[-1])
    return Measured(median(np.atleast_1d(found["seconds"])), found["peak"])


def _otb(rows: data.Rows, raster: Path, runs: int, folder: Path) -> Measured:
    """OpenCV's forest; its time contains starting the program and reading the model."""
    model = folder / "otb.model"
    _call(
        "otbcli_TrainRegression", "-io.il", _rows_as_raster(rows, folder), "-io.out", str(model),
        "-sample.mt", "-1", "-sample.vtr", "0.01", "-classifier", "rf",
        "-classifier.rf.nbtrees", str(data.TREES), "-classifier.rf.max", "25",
        "-classifier.rf.min", str(2 * data.MIN_LEAF), "-classifier.rf.acc", "0",
        "-classifier.rf.var", str(int(data.MAX_FEATURES * data.COVARIATES)),
    )  # fmt: skip
    clock = ["/usr/bin/time", "-f", "peak %M kB"] if Path("/usr/bin/time").exists() else []
    seconds, peaks = [], []
    for _ in range(runs):
        start = time.perf_counter()
        said = _call(
            *clock, "otbcli_ImageRegression", "-in", str(raster), "-model", str(model),
            "-out", str(folder / "otb.tif"),
        )  # fmt: skip
        seconds.append(time.perf_counter() - start)
        found = re.search(r"peak (\d+) kB", said)
        peaks += [int(found[1]) / 1024] if found else []
    return Measured(median(seconds), median(peaks) if peaks else None)


def _rows_as_raster(rows: data.Rows, folder: Path) -> str:
    """Write training rows as pixels of a raster, the target in the last band: OTB's way."""
    path, width = folder / "otb_training.tif", 100
    values = np.column_stack([rows.X, rows.y])[: len(rows.y) // width * width]
    bands = values.T.reshape(values.shape[1], -1, width).astype(np.float32)
    size = {"width": width, "height": bands.shape[1], "count": len(bands)}
    place = {"crs": "EPSG:32632", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 55e5)}
    with rasterio.open(path, "w", driver="GTiff", dtype="float32", **size, **place) as out:
        out.write(bands)
    return str(path)


def _call(*command: str) -> str:
    """Run a program and return what it prints; where it fails, print it."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}")
    return done.stdout
