"""Scenes of surface reflectance: which band of which file shows what, day by day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Sequence

from ...errors import InputError, RasterError
from ...progress import Progress
from ...rasters.grids import crs_name, same_crs
from ..rows import listed
from .cloud import QA60, MaskKind, MaskRule, kind_of
from .sensors import (
    ROLES,
    Sensor,
    bears_name,
    detect_sensor,
    refuse_other_products,
    sensor_named,
    shown,
)
from .sensors_bands import ProductBand, describe_days

NO_MASK = "none"
_QA60_GAP = (date(2022, 1, 25), date(2024, 2, 28))  # ESA gave no cloud mask in this form
_SAME_AREA = 1.5  # cells that the edges of one band in two cell sizes may differ


@dataclass(frozen=True)
class Scene:
    """The bands of one day, by role, and its mask band with the way it is read."""

    day: date
    bands: dict[str, ProductBand]
    mask: ProductBand | None
    rule: MaskRule | None


@dataclass(frozen=True)
class SceneRequest:
    """What the user says of the bands.

    Parameters
    ----------
    sensor : str
        ``auto`` or one of `SENSORS`.
    bands : dict of str to str
        Names of the bands that show a role, instead of the sensor's.
    cloud_band : str
        Name of the mask band, ``none``, or empty: the sensor's own where it is there.
    rule : MaskRule
        Which classes are dropped, or which values are clear.
    """

    sensor: str
    bands: dict[str, str]
    cloud_band: str
    rule: MaskRule


def choose_sensor(bands: Sequence[ProductBand], request: SceneRequest) -> Sensor:
    """Return the sensor that is named, or that the names of bands and files tell."""
    names = [name for band in bands for name in dict.fromkeys((*band.names, band.path.stem))]
    if request.sensor != "auto":
        sensor = sensor_named(request.sensor)
    else:
        sensor = detect_sensor(names, [band.names[-1] for band in bands])
    if not request.bands:
        refuse_other_products(sensor, names)
    return sensor


def find_scenes(
    bands: Sequence[ProductBand], sensor: Sensor, request: SceneRequest, progress: Progress
) -> list[Scene]:
    """Sort bands into scenes, a day each, in the order of their days.

    Of one band in several cell sizes (Sentinel-2's folders R10m, R20m) the finest is used.

    Raises
    ------
    InputError
        For bands without a date, for names that tell no band (those found are listed), and for
        one band twice on a day.
    """
    roles: dict[date, dict[str, list[tuple[int, ProductBand]]]] = {}
    masks: dict[date, list[tuple[MaskKind | None, ProductBand]]] = {}
    undated: list[str] = []
    for band in bands:
        found = _role_of(band, sensor, request)
        kind = kind_of(band.names)
        if found is None and not _is_mask(band, kind, request):
            continue
        if band.day is None:
            undated.append(band.label)
        elif found is not None:
            roles.setdefault(band.day, {}).setdefault(found[0], []).append((found[1], band))
        else:
            masks.setdefault(band.day, []).append((kind, band))
    if undated:
        raise InputError(
            f"No date is found for {listed(undated)}.",
            "Put it into the file name (S2_20210401.tif), or give the layer a fixed temporal "
            "range.",
        )
    if not roles:
        _refuse_unknown(bands, sensor)
    scenes = []
    for day in sorted(roles):
        chosen = {role: _finest(role, day, roles[day][role]) for role in roles[day]}
        mask = _mask_of(masks.get(day, []), request, day)
        rule = None
        if mask is not None:
            rule = MaskRule(mask[0], request.rule.dropped, request.rule.clear)
        scenes.append(Scene(day, chosen, mask[1] if mask else None, rule))
    _report(scenes, sensor, bands, request, progress)
    return scenes


def check_grids(scene: Scene, bands: Sequence[ProductBand]) -> None:
    """Raise `RasterError` for bands of a scene that do not share a reference system or touch."""
    first = bands[0]
    for band in bands[1:]:
        if not same_crs(first.grid.crs, band.grid.crs):
            raise RasterError(
                f"The bands of {scene.day} are in different coordinate reference systems: "
                f"{first.label} in {crs_name(first.grid.crs)}, {band.label} in "
                f"{crs_name(band.grid.crs)}.",
                "Bring them into one (Warp) first.",
            )
        if band.grid.is_rotated and not band.grid.matches(first.grid):
            raise RasterError(
                f"{band.label} has rotated cells and another grid than {first.label}.",
                "Bring both to one grid (Warp) first.",
            )
        if first.grid.window_of(band.grid.bounds) is None:
            raise RasterError(
                f"The bands of {scene.day} do not overlap: {first.label} has "
                f"{first.grid.describe()}, {band.label} has {band.grid.describe()}.",
                "Give the bands of one scene; mosaic the tiles of a day first.",
            )


def _role_of(band: ProductBand, sensor: Sensor, request: SceneRequest) -> tuple[str, int] | None:
    for role, name in request.bands.items():
        if bears_name(band.names, name):
            return role, 0
    found = sensor.role_of(band.names)
    return None if found is None or found[0] in request.bands else found


def _is_mask(band: ProductBand, kind: MaskKind | None, request: SceneRequest) -> bool:
    if request.cloud_band.lower() == NO_MASK:
        return False
    if request.cloud_band:
        return bears_name(band.names, request.cloud_band)
    return kind is not None and kind.automatic


def _mask_of(
    found: Sequence[tuple[MaskKind | None, ProductBand]], request: SceneRequest, day: date
) -> tuple[MaskKind | None, ProductBand] | None:
    if not found:
        if request.cloud_band and request.cloud_band.lower() != NO_MASK:
            raise InputError(
                f"CLOUD_BAND: there is no band '{request.cloud_band}' on {day}.",
                "Add its raster, correct the name, or set CLOUD_BAND to none.",
            )
        return None
    kind, _ = min(found, key=_preference)
    if kind is None and not request.rule.clear:
        raise InputError(
            f"CLOUD_BAND: it is not known what the values of '{request.cloud_band}' mean.",
            "List those that are clear in CLEAR_VALUES, for example 0 or 4;5;6.",
        )
    same = [(0, band) for own, band in found if own is kind]
    return kind, _finest("mask", day, same)


def _preference(found: tuple[MaskKind | None, ProductBand]) -> int:
    """Order kinds of masks: the product's newest first."""
    order = ("SCL", "QA_PIXEL", "state", "Fmask")
    name = found[0].name if found[0] else ""
    return next((place for place, word in enumerate(order) if word in name), len(order))


def _finest(role: str, day: date, found: Sequence[tuple[int, ProductBand]]) -> ProductBand:
    rank = min(rank for rank, _ in found)
    bands = sorted(
        (band for own, band in found if own == rank), key=lambda band: band.grid.resolution
    )
    for other in bands[1:]:
        if other.grid.resolution == bands[0].grid.resolution or not _same_area(bands[0], other):
            raise InputError(
                f"{day} has the band for {role} twice: {bands[0].label} and {other.label}.",
                "Mosaic the tiles of a day first (Merge), and give each band once.",
            )
    return bands[0]


def _same_area(first: ProductBand, second: ProductBand) -> bool:
    """Whether two bands cover the same area, to a cell."""
    if not same_crs(first.grid.crs, second.grid.crs):
        return False
    cell = max(*first.grid.resolution, *second.grid.resolution)
    return all(
        abs(a - b) <= _SAME_AREA * cell for a, b in zip(first.grid.bounds, second.grid.bounds)
    )


def _refuse_unknown(bands: Sequence[ProductBand], sensor: Sensor) -> None:
    names = [band.names[-1] for band in bands]
    raise InputError(
        f"None of the bands is known as one of {sensor.title}: {shown(names)}.",
        f"Map them by BANDS, for example red=B4;nir=B8; the roles are {', '.join(ROLES)}.",
    )


def _report(
    scenes: Sequence[Scene],
    sensor: Sensor,
    bands: Sequence[ProductBand],
    request: SceneRequest,
    progress: Progress,
) -> None:
    progress.info(f"{sensor.title}: {describe_days([scene.day for scene in scenes])}.")
    for role in ROLES:
        names = [scene.bands[role].names[-1] for scene in scenes if role in scene.bands]
        if names:
            progress.info(f"{role}: {shown(names, 3)}.")
    bare = [str(scene.day) for scene in scenes if scene.mask is None]
    cloud_free = any("Nadir_Reflectance" in name for band in bands for name in band.names)
    if bare and request.cloud_band.lower() != NO_MASK and not cloud_free:
        progress.warn(
            f"There is no cloud mask on {listed(bare)}: clouds are not taken out. Add the mask "
            "band (SCL, QA_PIXEL, state flags), or set CLOUD_BAND to none if that is meant."
        )
    kinds = {scene.rule.kind.name for scene in scenes if scene.rule and scene.rule.kind}
    if kinds and request.rule.clear:
        progress.info("Clouds: only cells with a value of CLEAR_VALUES are kept.")
    elif kinds:
        dropped = ", ".join(request.rule.dropped) or "nothing but fill"
        progress.info(f"Clouds by {' and '.join(sorted(kinds))}: dropped are {dropped}.")
    blind = [
        str(scene.day)
        for scene in scenes
        if scene.rule and scene.rule.kind is QA60 and _QA60_GAP[0] <= scene.day < _QA60_GAP[1]
    ]
    if blind:
        progress.warn(
            f"QA60 is empty on {listed(blind)}, as on all days from {_QA60_GAP[0]} until "
            f"{_QA60_GAP[1]}: clouds are not taken out. Use SCL."
        )
