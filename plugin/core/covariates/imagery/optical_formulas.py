"""Spectral indices and broadband albedo from surface reflectance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Mapping, Sequence

import numpy as np

Bands = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Index:
    """An index: its name, the bands it needs and its formula.

    The formula takes reflectance by role (see `sensors.ROLES`) and gives an array of the same
    shape; NaN in a band it uses gives NaN.
    """

    name: str
    roles: tuple[str, ...]
    formula: Callable[[Bands], np.ndarray]


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Divide; missing where the denominator is 0."""
    result = np.full(np.shape(above), np.nan)
    np.divide(above, below, out=result, where=np.abs(below) > 1e-9)
    return result


def _normalized(first: str, second: str) -> Callable[[Bands], np.ndarray]:
    return lambda rho: _ratio(rho[first] - rho[second], rho[first] + rho[second])


def _evi(rho: Bands) -> np.ndarray:
    below = rho["nir"] + 6.0 * rho["red"] - 7.5 * rho["blue"] + 1.0
    return _ratio(2.5 * (rho["nir"] - rho["red"]), below)


def _savi(rho: Bands) -> np.ndarray:
    return _ratio(1.5 * (rho["nir"] - rho["red"]), rho["nir"] + rho["red"] + 0.5)


def _vari(rho: Bands) -> np.ndarray:
    return _ratio(rho["green"] - rho["red"], rho["green"] + rho["red"] - rho["blue"])


def _gvmi(rho: Bands) -> np.ndarray:
    near, short = rho["nir"] + 0.1, rho["swir1640"] + 0.02
    return _ratio(near - short, near + short)


def _weighted(weights: Mapping[str, float], constant: float) -> Callable[[Bands], np.ndarray]:
    def albedo(rho: Bands) -> np.ndarray:
        total = sum(weight * rho[role] for role, weight in weights.items())
        return np.asarray(total + constant)

    return albedo


_MODIS_ALBEDO = {
    "red": 0.160,
    "nir": 0.291,
    "blue": 0.243,
    "green": 0.116,
    "swir1240": 0.112,
    "swir2130": 0.081,
}
_LANDSAT_ALBEDO = {
    "blue": 0.356,
    "red": 0.130,
    "nir": 0.373,
    "swir1640": 0.085,
    "swir2130": 0.072,
}
_ALBEDO = {
    "modis": Index("albedo", tuple(_MODIS_ALBEDO), _weighted(_MODIS_ALBEDO, -0.0015)),
    "landsat-8-9": Index("albedo", tuple(_LANDSAT_ALBEDO), _weighted(_LANDSAT_ALBEDO, -0.0018)),
    "sentinel-2": Index("albedo", tuple(_LANDSAT_ALBEDO), _weighted(_LANDSAT_ALBEDO, -0.0018)),
}
_NDII5 = ("nir", "swir1240")
_NDII6 = ("nir", "swir1640")
_NDII7 = ("nir", "swir2130")
_COMMON = {
    "ndvi": Index("NDVI", ("nir", "red"), _normalized("nir", "red")),
    "evi": Index("EVI", ("nir", "red", "blue"), _evi),
    "savi": Index("SAVI", ("nir", "red"), _savi),
    "vari": Index("VARI", ("green", "red", "blue"), _vari),
    "ndwi": Index("NDWI", _NDII5, _normalized(*_NDII5)),
    "ndii5": Index("NDII5", _NDII5, _normalized(*_NDII5)),
    "ndii6": Index("NDII6", _NDII6, _normalized(*_NDII6)),
    "ndii7": Index("NDII7", _NDII7, _normalized(*_NDII7)),
    "ndmi": Index("NDMI", _NDII6, _normalized(*_NDII6)),
    "gvmi": Index("GVMI", ("nir", "swir1640"), _gvmi),
}
INDICES = (*_COMMON, "albedo")


def index_of(key: str, sensor: str) -> Index:
    """Return an index by its key among `INDICES`, as it is computed for a sensor.

    Sources: NDVI, Rouse et al. (1974); EVI, Huete et al. (2002),
    doi:10.1016/S0034-4257(02)00096-2; SAVI with L = 0.5, Huete (1988),
    doi:10.1016/0034-4257(88)90106-X; VARI, Gitelson et al. (2002),
    doi:10.1016/S0034-4257(01)00289-9; NDWI of near-infrared and 1240 nm, Gao (1996),
    doi:10.1016/S0034-4257(96)00067-3; NDII, Hardisky et al. (1983); GVMI, Ceccato et al. (2002),
    doi:10.1016/S0034-4257(02)00037-8; albedo of MODIS and of Landsat ETM+ bands, Liang (2001),
    doi:10.1016/S0034-4257(00)00205-4. The coefficients of ETM+ serve Landsat 8/9 and Sentinel-2,
    whose bands lie close to them.
    """
    return _ALBEDO[sensor] if key == "albedo" else _COMMON[key]


def compute_indices(reflectance: Mapping[str, np.ndarray], indices: Sequence[Index]) -> np.ndarray:
    """Compute indices from reflectance by role, in doubles.

    Parameters
    ----------
    reflectance : mapping of str to float64 array, shape (rows, columns)
        0 to 1, NaN missing.
    indices : sequence of Index

    Returns
    -------
    float32 array, shape (indices, rows, columns)
        NaN where a band that the index uses is missing or its quotient has no denominator.
    """
    shape = next(iter(reflectance.values())).shape
    result = np.empty((len(indices), *shape), dtype=np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        for position, index in enumerate(indices):
            result[position] = index.formula(reflectance)
    return result
