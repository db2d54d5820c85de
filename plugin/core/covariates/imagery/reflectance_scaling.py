"""Which scale and offset turn a scene's stored numbers into reflectance of 0 to 1."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date
from typing import Mapping

import numpy as np

from ...errors import InputError, RasterError
from ...progress import Progress
from .reflectance import Scene
from .sensors import SENTINEL_2, Sensor
from .sensors_bands import ProductBand, Scaling, sample

LOWEST, HIGHEST = -0.02, 1.6
"""Reflectance that can be: noise about 0 below, the valid range of MODIS products above."""

OFFSET_SINCE = date(2022, 1, 25)
"""First day of Sentinel-2's processing baseline 04.00, which stores reflectance + 0.1."""

_HLS_SCALE = 0.0001
_S2_OFFSET = -0.1
_S2_ZERO = 1000  # stored number of reflectance 0 since then
_BASELINE = re.compile(r"_N(\d{4})_")
_ESA_NAME = re.compile(r"T\d{2}[A-Z]{3}_\d{8}T\d{6}_B\d")
_NOT_REFLECTANCE = 2.0  # half of a band above it: no reflectance
_SCALED_TWICE = 0.005
_VISIBLE = ("blue", "green", "red")
_CURE = (
    "Give SCALE and OFFSET: 0.0001 and 0 for MODIS and for Sentinel-2 until 24 January 2022 or "
    "harmonized, 0.0001 and -0.1 for Sentinel-2 from the next day on, 0.0000275 and -0.2 for "
    "Landsat Collection 2, 0.01 and 0 for percent."
)


@dataclass(frozen=True)
class GivenFactors:
    """Scale and offset that the user gives, None where they are to be found out."""

    scale: float | None = None
    offset: float | None = None


def scene_scaling(
    scene: Scene,
    bands: Mapping[str, ProductBand],
    sensor: Sensor,
    given: GivenFactors,
    progress: Progress,
) -> dict[str, Scaling]:
    """Choose the factors of each band of a scene, and check them on samples.

    In this order: what the user gives, what the file declares, the product's for whole numbers,
    1 and 0 for other numbers. An empty offset is the file's or the product's where the scale
    given is the file's or the product's, else 0. They are never applied on top of each other.

    Parameters
    ----------
    scene : Scene
    bands : mapping of str to ProductBand
        The bands that are used, by role.
    sensor : Sensor
    given : GivenFactors
    progress : Progress

    Raises
    ------
    RasterError
        Where half of a band lies above 2 (a scale is missing), where no band reaches 0.005 (it
        was applied twice), for colours of 8 bits.
    InputError
        Where Sentinel-2's offset cannot be told.
    """
    samples = {role: sample(band, progress) for role, band in bands.items()}
    product_offset = _ProductOffset(scene, bands, sensor, samples)
    scalings = {
        role: _band_scaling(band, sensor, given, product_offset) for role, band in bands.items()
    }
    reached = []
    for role, band in bands.items():
        values = scalings[role].apply(
            samples[role] * band.scale + band.offset if band.declares_scale else samples[role],
            band,
        )
        values = values[np.isfinite(values)]
        if values.size:
            _check_high(band, values, scalings[role])
            reached.append(float(np.percentile(values, 98)))
    if reached and max(reached) < _SCALED_TWICE:
        raise RasterError(
            f"The bands of {scene.day} hardly reach {max(reached):.2g}: a scale is applied to what "
            f"is reflectance already, as {next(iter(scalings.values())).describe()}.",
            "Set SCALE to 1 and OFFSET to 0.",
        )
    return scalings


class _ProductOffset:
    """The offset of a product's whole numbers; for Sentinel-2 found out at the first need."""

    def __init__(
        self,
        scene: Scene,
        bands: Mapping[str, ProductBand],
        sensor: Sensor,
        samples: Mapping[str, np.ndarray],
    ) -> None:
        self._scene = scene
        self._bands = bands
        self._sensor = sensor
        self._samples = samples

    def of(self, band: ProductBand) -> tuple[float, str]:
        """Return the offset of a band, and what it is concluded from."""
        if _is_harmonized(band):
            return 0.0, "HLS"
        if self._sensor is not SENTINEL_2:
            return self._sensor.offset, self._sensor.title
        baselines = _BASELINE.findall(str(band.path))
        if baselines:
            offset = _S2_OFFSET if int(baselines[-1]) >= 400 else 0.0
            return offset, f"Sentinel-2, processing baseline {int(baselines[-1]) / 100:05.2f}"
        if _ESA_NAME.search(band.path.stem) and self._scene.day >= OFFSET_SINCE:
            return _S2_OFFSET, f"Sentinel-2 as delivered since {OFFSET_SINCE}"
        self._refuse_unclear(band)
        return 0.0, f"Sentinel-2 without offset, as visible bands go below {_S2_ZERO}"

    def _refuse_unclear(self, band: ProductBand) -> None:
        """Raise where no visible band goes below 1000, as dark ground does without the offset."""
        roles = [role for role in _VISIBLE if role in self._bands] or list(self._bands)
        lows = []
        for role in roles:
            stored = self._samples[role]
            stored = stored[stored > 0]
            if stored.size:
                lows.append(float(np.percentile(stored, 1)))
        if lows and min(lows) >= _S2_ZERO:
            raise InputError(
                f"It is not clear whether the numbers of {band.label} contain the offset of "
                f"Sentinel-2: none of its visible bands goes below {_S2_ZERO}.",
                "Set OFFSET to -0.1 for products of processing baseline 04.00 or later (all since "
                f"{OFFSET_SINCE}, and older ones processed anew), or to 0 for harmonized numbers "
                "(Earth Engine's S2_SR_HARMONIZED).",
            )


def _band_scaling(
    band: ProductBand, sensor: Sensor, given: GivenFactors, product_offset: _ProductOffset
) -> Scaling:
    fills = sensor.fills if band.is_integer and not band.has_nodata else ()
    product_scale = _HLS_SCALE if _is_harmonized(band) else sensor.scale
    if given.scale is not None:
        scale, offset, origin = given.scale, 0.0, "SCALE given"
        if band.declares_scale and math.isclose(scale, band.scale, rel_tol=1e-6):
            offset, origin = band.offset, "SCALE given, offset declared in the file"
        elif given.offset is None and math.isclose(scale, product_scale, rel_tol=1e-6):
            offset, product = product_offset.of(band)
            origin = f"SCALE given, offset of {product}"
    elif band.declares_scale:
        scale, offset, origin = band.scale, band.offset, "declared in the file"
    elif not band.is_integer:
        scale, offset, origin = 1.0, 0.0, "stored number"
    elif band.dtype == "uint8":
        raise RasterError(
            f"{band.label} has 8 bits: colours for the screen, not reflectance.",
            "Use the product's reflectance bands, or give SCALE if it is reflectance.",
        )
    elif given.offset is not None:
        scale, offset, origin = product_scale, 0.0, f"scale of {sensor.title}"
    else:
        scale = product_scale
        offset, origin = product_offset.of(band)
    if given.offset is not None:
        offset, origin = given.offset, f"{origin}, OFFSET given"
    return Scaling(scale, offset, fills, origin)


def _is_harmonized(band: ProductBand) -> bool:
    """Whether the file is of Harmonized Landsat and Sentinel-2 (HLS), stored alike for both."""
    return band.path.stem.startswith("HLS.")


def _check_high(band: ProductBand, values: np.ndarray, scaling: Scaling) -> None:
    middle = float(np.median(values))
    if middle > _NOT_REFLECTANCE:
        raise RasterError(
            f"{band.label} has values from {values.min():.4g} to {values.max():.4g}, half of them "
            f"above {middle:.4g}, as {scaling.describe()}: a scale factor is missing, reflectance "
            "lies between 0 and 1.",
            _CURE,
        )
