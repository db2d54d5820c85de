"""The programs that are compared; all of them use two threads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import rasterio
from quantile_forest import RandomForestQuantileRegressor
from rasterio.windows import Window
from sklearn.ensemble import RandomForestRegressor

from ..plugin.core.models.distribution import Prediction, predict_forest
from ..plugin.core.models.forest import Forest
from . import data, engines
from .forests import THREADS
from .table import REFERENCE

ENGINE = "this plugin, compiled engine"
NUMPY = "this plugin, NumPy path"
MEAN = "scikit-learn, mean only"
BLOCKS = "block loop, quantile-forest"
QUANTILE_FOREST = REFERENCE
_PORTION = 16_384  # pixels a thread takes at a time, a quarter of a map's block
_BLOCK = 128  # edge of the blocks of the block loop

Run = Callable[[np.ndarray], object]


def ours(forest: Forest, quantiles: tuple[float, ...] = data.QUANTILES) -> Run:
    """Return our mean, sd and quantiles, portions of pixels in threads as in a map."""

    def run(X: np.ndarray) -> Prediction:
        size = min(_PORTION, -(-len(X) // THREADS))
        parts = [X[start : start + size] for start in range(0, len(X), size)]
        with ThreadPoolExecutor(THREADS) as pool:
            found = list(pool.map(lambda part: predict_forest(forest, part, quantiles), parts))
        return Prediction(
            np.concatenate([part.mean for part in found]),
            np.concatenate([part.sd for part in found]),
            np.concatenate([part.quantiles for part in found]),
        )

    return run


def our_paths() -> list[str]:
    """Return which of our two paths there are: the compiled engine needs numba."""
    return [ENGINE, NUMPY] if engines.has_compiled() else [NUMPY]


@contextlib.contextmanager
def path_of(peer: str) -> Iterator[None]:
    """Hold our prediction to the path a peer is named for."""
    if peer not in (ENGINE, NUMPY):
        yield
        return
    with engines.forced(compiled=peer == ENGINE):
        yield


def held(peer: str, run: Run) -> Run:
    """Return `run` held to the path of a peer."""

    def in_path(X: np.ndarray) -> object:
        with path_of(peer):
            return run(X)

    return in_path


def quantile_forest(
    forest: RandomForestQuantileRegressor, quantiles: tuple[float, ...] = data.QUANTILES
) -> Run:
    """Return quantile-forest's quantiles of the same distribution."""

    def run(X: np.ndarray) -> np.ndarray:
        found = forest.predict(X, quantiles=list(quantiles), weighted_leaves=True)
        return found.reshape(len(X), len(quantiles))

    return run


def mean_only(forest: RandomForestQuantileRegressor) -> Run:
    """Return scikit-learn's own predict, which the quantile forest inherits."""
    return lambda X: RandomForestRegressor.predict(forest, X)


def block_loop(forest: RandomForestQuantileRegressor, folder: Path) -> Run:
    """Return the loop of EnMAP-Box and its like: read a block, reshape, predict, write.

    The pixels of a run are its number only: they come from a raster, whole rows of blocks.
    """
    predict = quantile_forest(forest)
    source, target = folder / "blocks_in.tif", folder / "blocks_out.tif"

    def run(X: np.ndarray) -> None:
        with rasterio.open(source) as bands:
            profile = bands.profile | {"count": len(data.QUANTILES)}
            with rasterio.open(target, "w", **profile) as out:
                for start in range(0, len(X), _BLOCK * _BLOCK):
                    rows = min(_BLOCK, (len(X) - start) // _BLOCK)
                    window = Window(0, start // _BLOCK, _BLOCK, rows)
                    block = bands.read(window=window)
                    found = predict(block.reshape(len(block), -1).T)
                    values = found.T.reshape(-1, rows, _BLOCK).astype(np.float32)
                    out.write(values, window=window)

    return run


def write_strip(X: np.ndarray, folder: Path) -> Path:
    """Write pixels as the raster that the block loop, R and OTB read; whole rows of it."""
    rows = len(X) // _BLOCK
    bands = X[: rows * _BLOCK].T.reshape(X.shape[1], rows, _BLOCK)
    path = folder / "blocks_in.tif"
    profile = {"driver": "GTiff", "dtype": "float32", "compress": "deflate", "tiled": True}
    size = {"width": _BLOCK, "height": rows, "count": len(bands)}
    place = {"crs": "EPSG:32632", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 55e5)}
    with rasterio.open(
        path, "w", **profile, **size, **place, blockxsize=_BLOCK, blockysize=_BLOCK
    ) as out:
        out.write(bands)
        out.descriptions = [f"c{i:02d}" for i in range(len(bands))]
    return path


def run_of(peer: str, forests: dict[str, object], folder: Path) -> Run:
    """Return the run of a peer with the forest of its kind."""
    theirs = forests["theirs"]
    runs: dict[str, Callable[[], Run]] = {
        ENGINE: lambda: held(peer, ours(forests["ours"])),
        NUMPY: lambda: held(peer, ours(forests["ours"])),
        QUANTILE_FOREST: lambda: quantile_forest(theirs),
        MEAN: lambda: mean_only(theirs),
        BLOCKS: lambda: block_loop(theirs, folder),
    }
    return runs[peer]()
