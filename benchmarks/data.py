"""Training rows and pixels with a known law, the same in every run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

COVARIATES = 25
QUANTILES = (0.05, 0.5, 0.95)
TREES = 50
MIN_LEAF = 10
MAX_FEATURES = 1 / 3
SEED = 42
CORRELATION_CELLS = 12.0  # standard deviation of the filter that makes fields smooth


@dataclass(frozen=True)
class Rows:
    """Training rows: X float32 (n, p), y float64 (n,)."""

    X: np.ndarray
    y: np.ndarray


def training_rows(n: int, covariates: int = COVARIATES) -> Rows:
    """Return `n` rows of independent standard normal covariates and a moisture made of five."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((n, covariates), dtype=np.float32)
    signal = 0.05 * np.tanh(X[:, 0]) + 0.03 * X[:, 1] * X[:, 2]
    signal += 0.03 * np.sin(2 * X[:, 3]) + 0.02 * np.maximum(X[:, 4], 0)
    y = 0.25 + signal + (0.03 + 0.01 * np.abs(X[:, 0])) * rng.standard_normal(n)
    return Rows(X, np.clip(y.astype(np.float64), 0.0, 0.6))


def random_pixels(m: int, covariates: int = COVARIATES) -> np.ndarray:
    """Return `m` pixels without any spatial structure, float32 (m, p): the worst case."""
    return np.random.default_rng(2).standard_normal((m, covariates), dtype=np.float32)


def field(width: int, height: int, covariates: int = COVARIATES) -> np.ndarray:
    """Return smooth standard normal fields, one a covariate: float32 (p, height, width)."""
    rng = np.random.default_rng(3)
    bands = np.empty((covariates, height, width), np.float32)
    for band in bands:
        noise = rng.standard_normal((height, width), dtype=np.float32)
        smooth = gaussian_filter(noise, CORRELATION_CELLS, mode="wrap")
        band[:] = (smooth - smooth.mean()) / smooth.std()
    return bands


def as_pixels(bands: np.ndarray) -> np.ndarray:
    """Return the pixels of (p, height, width) bands row by row: float32 (m, p)."""
    return np.ascontiguousarray(bands.reshape(len(bands), -1).T)


def field_pixels(m: int, covariates: int = COVARIATES) -> np.ndarray:
    """Return `m` pixels of smooth fields, block of 256 × 256 by block, as a map is computed."""
    width = 512
    height = -(-m // (width * 256)) * 256
    bands = field(width, height, covariates)
    blocks = [
        as_pixels(bands[:, row : row + 256, col : col + 256])
        for row in range(0, height, 256)
        for col in range(0, width, 256)
    ]
    return np.concatenate(blocks)[:m]
