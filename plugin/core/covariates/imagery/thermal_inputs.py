"""Land-surface temperature by day and by night, and albedo: which raster belongs to which date."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Sequence

import numpy as np

from ...errors import InputError, RasterError
from ...progress import Progress
from ..rows import listed
from .sensors import bears_name, shown
from .sensors_bands import ProductBand, Scaling, describe_days, sample

UNITS = ("auto", "kelvin", "celsius")
KELVIN_RANGE = (150.0, 400.0)
CELSIUS_RANGE = (-100.0, 100.0)
_ZERO_CELSIUS = 273.15
_MODIS_LST = re.compile(r"LST_(?:Day|Night)_1km|LST_(?:Day|Night)_6km|LST_1KM", re.IGNORECASE)
_MODIS_LST_SCALE = 0.02
_LST = re.compile(r"LST|temperature", re.IGNORECASE)
_OF_DAY = re.compile(r"(?<!\d)(?<!\d[-_ ])day(?!s)", re.IGNORECASE)
_OF_NIGHT = re.compile(r"night", re.IGNORECASE)
_ALBEDO = re.compile(r"albedo", re.IGNORECASE)
_MODIS_ALBEDO = re.compile(r"Albedo_[BW]SA_", re.IGNORECASE)
_MODIS_ALBEDO_SCALE = 0.001
_MODIS_ALBEDO_FILL = 32767.0


@dataclass(frozen=True)
class Temperature:
    """A band of land-surface temperature and how it becomes kelvin."""

    band: ProductBand
    scaling: Scaling
    unit: str

    def to_kelvin(self, values: np.ndarray) -> tuple[np.ndarray, int]:
        """Return kelvin, NaN where no surface can be so cold or warm, and how many those are."""
        kelvin = values + _ZERO_CELSIUS if self.unit == "celsius" else values
        low, high = KELVIN_RANGE
        outside = (kelvin < low) | (kelvin > high)
        return np.where(outside, np.nan, kelvin), int(outside.sum())


@dataclass(frozen=True)
class ThermalDay:
    """What a date has: temperature by day and by night, albedo where there is one."""

    day: date
    warm: Temperature
    cold: Temperature
    albedo: ProductBand | None
    albedo_scaling: Scaling


def temperatures(
    bands: Sequence[ProductBand],
    *,
    night: bool,
    shared: bool,
    wanted: str,
    units: str,
    scale: float | None,
    progress: Progress,
) -> dict[date, Temperature]:
    """Choose the temperature band of each date and find out its scale and unit.

    Parameters
    ----------
    bands : sequence of ProductBand
        All bands of the rasters of a side.
    night : bool
        Whether it is the side of the night.
    shared : bool
        Whether the rasters hold both sides: those with a band of the other side only are passed
        over, and one that tells no side is refused.
    wanted : str
        Name of the band; empty for the only band of a raster, or the one called
        ``LST … Day`` or ``LST … Night``.
    units : {"auto", "kelvin", "celsius"}
    scale : float, optional
        Value of a stored number, in place of what the file declares.

    Raises
    ------
    InputError
        For no such band or several, undated bands, and a date twice.
    RasterError
        For values that are no temperatures.
    """
    found: dict[date, Temperature] = {}
    undated = []
    told: dict[str, set[date]] = {}
    chosen = _choose_bands(bands, night, shared, wanted)
    for done, band in enumerate(chosen):
        progress.step(done / len(chosen))
        if band.day is None:
            undated.append(band.label)
            continue
        if band.day in found:
            raise InputError(
                f"{_parameter(night)} has {band.day} twice: {found[band.day].band.label} and "
                f"{band.label}.",
                "Mosaic the tiles of a day first (Merge), and give each date once.",
            )
        found[band.day] = _temperature(band, units, scale, progress)
        text = f"{found[band.day].scaling.describe()} in {found[band.day].unit}"
        told.setdefault(text, set()).add(band.day)
    if undated:
        raise InputError(
            f"{_parameter(night)}: no date is found for {listed(undated)}.",
            "Put it into the file name (LST_20210401.tif), or give the layer a fixed temporal "
            "range.",
        )
    for text, days in told.items():
        side = "night" if night else "day"
        progress.info(f"Temperature by {side} = {text}: {describe_days(days)}.")
    return found


def albedo_bands(bands: Sequence[ProductBand], wanted: str) -> list[ProductBand]:
    """Choose the albedo band of each raster.

    Raises
    ------
    InputError
        For rasters without such a band, or with several.
    """
    chosen = []
    for path, own in _by_file(bands):
        fitting = [band for band in own if _fits_albedo(band, wanted, len(own))]
        exact = [band for band in fitting if band.names[0].lower() == "albedo"]
        if not wanted and exact:
            fitting = exact
        days = {band.day for band in fitting}
        if not fitting or len(days) < len(fitting):
            names = shown([band.names[0] for band in own])
            raise InputError(
                f"ALBEDO: which band of '{path}' is the albedo is not clear: {names}.",
                "Name it in ALBEDO_BAND.",
            )
        chosen += fitting
    return chosen


def albedo_on(day: date, bands: Sequence[ProductBand], tolerance_days: int) -> ProductBand | None:
    """Return the latest albedo of the days up to a date, not older than the tolerance.

    An only albedo without date holds always.
    """
    if len(bands) == 1 and bands[0].day is None:
        return bands[0]
    earliest = day - timedelta(days=tolerance_days)
    dated = [(band.day, band) for band in bands if band.day and earliest <= band.day <= day]
    return max(dated, key=lambda item: item[0])[1] if dated else None


def check_albedo_dates(bands: Sequence[ProductBand]) -> None:
    """Raise `InputError` for albedo without a date beside others, and for a date twice."""
    if len(bands) == 1:
        return
    undated = [band.label for band in bands if band.day is None]
    if undated:
        raise InputError(
            f"ALBEDO: no date is found for {listed(undated)}.",
            "Put it into the file name (albedo_20210401.tif).",
        )
    seen: dict[date | None, ProductBand] = {}
    for band in bands:
        if band.day in seen:
            raise InputError(
                f"ALBEDO has {band.day} twice: {seen[band.day].label} and {band.label}.",
                "Mosaic the tiles of a day first (Merge), and give each date once.",
            )
        seen[band.day] = band


def albedo_scaling(band: ProductBand, progress: Progress) -> Scaling:
    """Return how an albedo band's stored numbers become albedo.

    Raises
    ------
    RasterError
        Where half of the values lie above 1.
    """
    if band.declares_scale:
        scaling = Scaling(band.scale, band.offset, (), "declared in the file")
    elif band.is_integer and any(_MODIS_ALBEDO.search(name) for name in band.names):
        fills = () if band.has_nodata else (_MODIS_ALBEDO_FILL,)
        scaling = Scaling(_MODIS_ALBEDO_SCALE, 0.0, fills, "MODIS MCD43A3")
    else:
        scaling = Scaling(1.0, 0.0, (), "stored number")
    values = _sampled(band, scaling, progress)
    if values.size and float(np.median(values)) > 1.0:
        raise RasterError(
            f"{band.label} has values from {values.min():.4g} to {values.max():.4g}, half of them "
            "above 1: a scale factor is missing, as albedo lies between 0 and 1.",
            "Set the raster's scale (gdal_edit.py -scale 0.001), or compute albedo with Optical "
            "indices.",
        )
    return scaling


def _choose_bands(
    bands: Sequence[ProductBand], night: bool, shared: bool, wanted: str
) -> list[ProductBand]:
    side = "night" if night else "day"
    chosen = []
    for path, own in _by_file(bands):
        other = _side(own[0], not night) and not _side(own[0], night)
        if shared and len(own) == 1 and other:
            continue
        fitting = _fitting(own, night, shared, wanted)
        days = {band.day for band in fitting}
        if not fitting or len(days) < len(fitting):
            names = shown([band.names[-1] for band in own])
            raise InputError(
                f"{_parameter(night)}: which band of '{path}' is the temperature by {side} is not "
                f"clear: {names}.",
                f"Name it in {_parameter(night)}_BAND, for example LST_{side.title()}_1km.",
            )
        chosen += fitting
    if not chosen:
        raise InputError(
            f"DAY holds no temperature by {side}, and NIGHT is empty.",
            "Give the rasters of the night in NIGHT.",
        )
    return chosen


def _fitting(
    own: Sequence[ProductBand], night: bool, shared: bool, wanted: str
) -> list[ProductBand]:
    """Return the bands of a file that are the temperature of a side."""
    if wanted:
        return [band for band in own if bears_name(band.names, wanted)]
    if len(own) == 1:
        mine, other = _side(own[0], night), _side(own[0], not night)
        return list(own) if mine or not (other or shared) else []
    called = [band for band in own if _says(band, _LST)]
    mine_called = [band for band in called if _side(band, night)]
    return mine_called or [band for band in called if not shared and not _side(band, not night)]


def _side(band: ProductBand, night: bool) -> bool:
    """Whether a name of a band says that it is of the night, or of the day."""
    return _says(band, _OF_NIGHT if night else _OF_DAY)


def _says(band: ProductBand, pattern: re.Pattern[str]) -> bool:
    return any(pattern.search(name) for name in band.names)


def _fits_albedo(band: ProductBand, wanted: str, of: int) -> bool:
    if wanted:
        return bears_name(band.names, wanted)
    return of == 1 or _says(band, _ALBEDO)


def _by_file(bands: Sequence[ProductBand]) -> list[tuple[str, list[ProductBand]]]:
    files: dict[str, list[ProductBand]] = {}
    for band in bands:
        files.setdefault(str(band.path), []).append(band)
    return [(own[0].path.name, own) for own in files.values()]


def _temperature(
    band: ProductBand, units: str, scale: float | None, progress: Progress
) -> Temperature:
    if scale is not None:
        scaling = Scaling(scale, 0.0, (), "SCALE given")
    elif band.declares_scale:
        scaling = Scaling(band.scale, band.offset, (), "declared in the file")
    elif band.is_integer and _says(band, _MODIS_LST):
        scaling = Scaling(_MODIS_LST_SCALE, 0.0, (), "MODIS")
    else:
        scaling = Scaling(1.0, 0.0, (), "stored number")
    unit = _unit(band, scaling, units, progress)
    if unit == "kelvin" and band.is_integer and not band.has_nodata:
        scaling = replace(scaling, fills=(0.0,))
    return Temperature(band, scaling, unit)


def _unit(band: ProductBand, scaling: Scaling, units: str, progress: Progress) -> str:
    """Tell kelvin from degrees Celsius by the range of the values."""
    values = _sampled(band, scaling, progress)
    values = values[values != 0]
    if not values.size:
        return "kelvin" if units == "auto" else units
    middle = float(np.median(values))
    ranges = {"kelvin": KELVIN_RANGE, "celsius": CELSIUS_RANGE}
    fitting = [unit for unit, (low, high) in ranges.items() if low <= middle <= high]
    if fitting and units in ("auto", fitting[0]):
        return fitting[0]
    text = (
        f"{band.label} has values from {values.min():.5g} to {values.max():.5g}, half of them "
        f"above {middle:.5g}, as {scaling.describe()}"
    )
    if fitting:
        raise RasterError(
            f"{text}: that is {fitting[0]}, not {units}.", f"Set UNITS to auto or {fitting[0]}."
        )
    raise RasterError(
        f"{text}: these are no temperatures.",
        "A scale factor is missing: set SCALE to 0.02 for MODIS MOD11, MYD11 and MOD21."
        if 5000 < middle < 25000
        else "Give land-surface temperature in kelvin or degrees Celsius, and SCALE where stored "
        "numbers have to be multiplied.",
    )


def _sampled(band: ProductBand, scaling: Scaling, progress: Progress) -> np.ndarray:
    stored = sample(band, progress)
    values = scaling.apply(
        stored * band.scale + band.offset if band.declares_scale else stored, band
    )
    return np.asarray(values[np.isfinite(values)])


def _parameter(night: bool) -> str:
    return "NIGHT" if night else "DAY"
