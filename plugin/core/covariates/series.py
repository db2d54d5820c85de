"""Series of rasters: which bands show one covariate on many days, and how they are read."""

from __future__ import annotations

import contextlib
import fnmatch
import re
import shutil
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Iterator, Sequence

import numpy as np

from ..errors import InputError, RasterError
from ..progress import Progress
from ..rasters.grids import Grid, Window
from ..rasters.reading import (
    BandInfo,
    RasterInfo,
    RasterReader,
    describe_raster,
    open_raster,
    warn_of_marks,
)
from ..rasters.tiles import TILE
from .rows import listed
from .table import RasterInput

SEPARATE, POOLED = "separate", "pooled"
OPEN_FILES = 64
_NAMED = 3  # rasters named in one warning
_DIRECTION = re.compile(
    r"(?:^|[_\-. ])(?:(?P<asc>asc(?:ending)?)|desc(?:ending)?)(?=[_\-. ]|$)", re.IGNORECASE
)
_SIDECARS = (".aux.xml", ".ovr", ".msk")


@dataclass(frozen=True)
class Layer:
    """One band of one raster: a covariate on a day (None where the raster has no date)."""

    path: Path
    band: int
    day: date | None


@dataclass(frozen=True)
class Series:
    """The bands of one covariate, in the order of their days; undated ones come first.

    `direction` is set where ascending and descending images are told apart.
    """

    name: str
    covariate: str
    direction: str
    units: str
    grid: Grid
    layers: tuple[Layer, ...]

    @property
    def days(self) -> tuple[date, ...]:
        """The days it has, ascending, each once."""
        return tuple(sorted({layer.day for layer in self.layers if layer.day is not None}))


def describe_rasters(
    inputs: Sequence[RasterInput], progress: Progress | None = None
) -> list[RasterInfo]:
    """Read grids, names and dates of rasters; one that is given twice is read once.

    Raises
    ------
    InputError
        For no raster.
    """
    progress = progress or Progress()
    if not inputs:
        raise InputError("No raster is given.", "Add the rasters of the series.")
    infos: dict[Path, RasterInfo] = {}
    for done, item in enumerate(inputs):
        progress.step(done / len(inputs))
        info = describe_raster(
            item.path,
            fallback_date=item.fallback_date,
            fallback_end=item.fallback_end,
            progress=progress,
        )
        real = info.path.resolve()
        if real in infos:
            progress.warn(f"'{info.path.name}' is given twice: it is read once.")
        infos[real] = info
    return list(infos.values())


def collect_series(
    infos: Sequence[RasterInfo],
    *,
    bands: Sequence[str] = (),
    directions: str = POOLED,
    progress: Progress | None = None,
) -> list[Series]:
    """Put the bands that share a name together.

    Parameters
    ----------
    infos : sequence of RasterInfo
    bands : sequence of str
        Names or shell patterns (``V?``) of the covariates wanted; all without any.
    directions : {"separate", "pooled"}
        Whether a covariate whose file names tell ascending (``asc``) from descending (``desc``)
        images is one series for each, named ``VV_asc`` and ``VV_desc``, or a single one.
    progress : Progress, optional
        Hears of units that differ within a series and of bands that not all rasters have.

    Returns
    -------
    list of Series
        In the order of their first bands.

    Raises
    ------
    InputError
        For names that differ in case alone, rasters that have no name in common, and patterns
        that fit no band.
    RasterError
        For a series on two grids: the first two rasters are named.
    """
    progress = progress or Progress()
    found: dict[str, list[tuple[RasterInfo, BandInfo]]] = {}
    for info in infos:
        for band in info.bands:
            if not bands or any(fnmatch.fnmatchcase(band.name, pattern) for pattern in bands):
                found.setdefault(band.name, []).append((info, band))
    if not found:
        names = dict.fromkeys(band.name for info in infos for band in info.bands)
        raise InputError(
            f"No band is named '{';'.join(bands)}'. There are {', '.join(names)}.",
            "Give names or patterns such as VV;VH.",
        )
    _check_names(infos, found)
    _warn_of_lacking(infos, found, progress)
    both = sorted(
        name for name, members in found.items() if len(_directions_of(members) - {""}) > 1
    )
    series = []
    for name, members in found.items():
        if name not in both or directions != SEPARATE:
            series.append(_series(name, "", members, progress))
            continue
        for direction in sorted(_directions_of(members)):
            some = [(i, b) for i, b in members if direction_of(i.path.stem) == direction]
            series.append(_series(name, direction, some, progress))
    if both and directions != SEPARATE:
        progress.warn(
            f"Ascending and descending images are mixed in {', '.join(both)}: they look at the "
            "ground from two sides, and what is said of the two together holds for neither."
        )
    return series


def direction_of(stem: str) -> str:
    """Return 'asc' or 'desc' where a file's base name tells the direction of the orbit, else ''.

    Examples
    --------
    >>> direction_of("s1_asc_20210401"), direction_of("s1_20210401_DESCENDING"), direction_of("s1")
    ('asc', 'desc', '')
    """
    found = _DIRECTION.search(stem)
    if found is None:
        return ""
    return "asc" if found.group("asc") else "desc"


def require_days(series: Sequence[Series]) -> None:
    """Raise where a layer has no date, or a covariate two layers of a day."""
    undated = [
        f"{layer.path.name}, band {layer.band} ({one.name})"
        for one in series
        for layer in one.layers
        if layer.day is None
    ]
    if undated:
        raise InputError(
            f"Rasters without a date that can be read: {listed(undated)}.",
            "Put the date into the file name (smap_20210401.tif) or the band description, or "
            "give the layer a fixed temporal range.",
        )
    twice = [
        f"{one.name} on {day}: {' and '.join(layer.path.name for layer in layers)}"
        for one in series
        for day, layers in repeated_days(one).items()
    ]
    if twice:
        raise InputError(
            f"The same covariate twice on a day: {listed(twice)}.",
            "Tiles: mosaic them first. Ascending and descending images, or versions of a "
            "product: run them one after the other.",
        )


def repeated_days(series: Series) -> dict[date, list[Layer]]:
    """Return the layers of each day that has more than one."""
    by_day: dict[date, list[Layer]] = {}
    for layer in series.layers:
        if layer.day is not None:
            by_day.setdefault(layer.day, []).append(layer)
    return {day: layers for day, layers in by_day.items() if len(layers) > 1}


def common_grid(infos: Sequence[tuple[Path, Grid]]) -> Grid:
    """Return the one grid of rasters.

    Raises
    ------
    RasterError
        Where there are two: the first two rasters that differ are named.
    """
    path, first = infos[0]
    for other, grid in infos[1:]:
        if not grid.matches(first):
            raise RasterError(
                f"The rasters are not on one grid: '{path.name}' has {first.describe()}, "
                f"'{other.name}' has {grid.describe()}.",
                "Bring them to one grid with 'Align to grid' first.",
            )
    return first


def blocks_of(grid: Grid, cells: int) -> list[Window]:
    """Cut a grid into blocks of whole tiles and about `cells` cells, as wide as they can be.

    Rasters stored in rows are then read row by row, and tiles are written once.
    """
    most = max(1, cells // (TILE * TILE))
    across = min(-(-grid.width // TILE), most)
    width, height = across * TILE, max(1, most // across) * TILE
    return [
        Window(col, row, min(width, grid.width - col), min(height, grid.height - row))
        for row in range(0, grid.height, height)
        for col in range(0, grid.width, width)
    ]


class SeriesReader:
    """Reads bands of many rasters with few open files; a context manager.

    Every cell should be read once: undeclared missing marks are counted in what is read, and told
    at the end by band and count. Safe to read from several threads, which have files of their
    own; no thread may be reading when it is left.
    """

    def __init__(self, progress: Progress, threads: int = 1) -> None:
        self._progress = progress
        self._most = max(1, OPEN_FILES // max(1, threads))
        self._open: dict[int, OrderedDict[Path, _Reader]] = {}
        self._marks: dict[tuple[Path, int], dict[float, int]] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> SeriesReader:
        return self

    def __exit__(self, kind: object, *details: object) -> None:
        with contextlib.ExitStack() as stack:
            for files in self._open.values():
                for reader in files.values():
                    stack.callback(self._close, reader)
            self._open.clear()
        if kind is None:
            self._warn()

    def read(self, path: Path, bands: Sequence[int], window: Window) -> np.ndarray:
        """Return bands as float64, shape (bands, rows, columns), NaN for missing."""
        files = self._open.setdefault(threading.get_ident(), OrderedDict())
        reader = files.pop(path, None)
        if reader is None:
            if len(files) >= self._most:
                self._close(files.popitem(last=False)[1])
            reader = _Reader(path, count_all=False)
        files[path] = reader
        return reader.read(bands, window)

    def _close(self, reader: _Reader) -> None:
        with self._lock:
            for band, counts in reader.close().items():
                total = self._marks.setdefault((reader.path, band), {})
                for value, count in counts.items():
                    total[value] = total.get(value, 0) + count

    def _warn(self) -> None:
        marked = [(place, counts) for place, counts in sorted(self._marks.items()) if counts]
        for (path, band), counts in marked[:_NAMED]:
            with open_raster(path) as dataset:
                warn_of_marks(dataset, band, counts, self._progress)
        if len(marked) > _NAMED:
            self._progress.warn(
                f"So do {len(marked) - _NAMED} more bands of the series: declare the nodata "
                "value of all of them."
            )


class _Reader(RasterReader):
    """A reader that hands over its counts of missing marks."""

    def close(self) -> dict[int, dict[float, int]]:
        self._dataset.close()
        return self._marks


@contextlib.contextmanager
def staged_folder(final: str | Path) -> Iterator[Path]:
    """Give a temporary folder whose files move into `final` when all has gone well.

    It lies in `final`, so that moving is renaming. After an error or a cancelled run nothing of it
    is left, and earlier files stay as they were.

    Raises
    ------
    InputError
        Where the folder cannot be written.
    RasterError
        Where an earlier file cannot be replaced.
    """
    target = Path(final).absolute()
    keep = target.exists()
    try:
        target.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".part-", dir=target))
    except OSError as error:
        raise InputError(
            f"The folder '{target}' cannot be written ({error.strerror or error}).",
            "Choose a folder that you may write to.",
        ) from error
    try:
        yield staging
        for path in sorted(staging.rglob("*")):
            if path.is_file():
                _move(path, target / path.relative_to(staging))
        keep = True
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if not keep:
            with contextlib.suppress(OSError):
                target.rmdir()


def refuse_own_inputs(paths: Sequence[Path], outputs: Sequence[Path], cure: str) -> None:
    """Raise where an output would replace a raster that is read."""
    read = {path.resolve() for path in paths}
    hit = sorted(path.name for path in outputs if path.resolve() in read)
    if hit:
        raise InputError(f"The run would replace its own input: {listed(hit)}.", cure)


def _move(path: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    except OSError as error:
        raise RasterError(
            f"'{target}' cannot be replaced ({error.strerror or error}).",
            "Remove the layer from QGIS, or choose another folder.",
        ) from error
    for suffix in _SIDECARS:
        with contextlib.suppress(OSError):
            target.with_name(target.name + suffix).unlink()


def _check_names(
    infos: Sequence[RasterInfo], found: dict[str, list[tuple[RasterInfo, BandInfo]]]
) -> None:
    lower: dict[str, str] = {}
    for name in found:
        other = lower.setdefault(name.lower(), name)
        if other != name:
            raise InputError(
                f"The bands '{other}' ({found[other][0][0].path.name}) and '{name}' "
                f"({found[name][0][0].path.name}) differ in case alone.",
                "Give them one name.",
            )
    if len(infos) > 1 and all(len(members) == 1 for members in found.values()):
        names = [f"'{name}' ({members[0][0].path.name})" for name, members in found.items()]
        raise InputError(
            f"No two rasters show the same covariate: {listed(names)}.",
            "Give the bands the same descriptions, or files of one band names that differ in "
            "their dates alone.",
        )


def _warn_of_lacking(
    infos: Sequence[RasterInfo],
    found: dict[str, list[tuple[RasterInfo, BandInfo]]],
    progress: Progress,
) -> None:
    """Warn of covariates that only some of the rasters have which have others of them."""
    together: dict[Path, set[str]] = {
        info.path: {band.name for band in info.bands} & set(found) for info in infos
    }
    for name, members in found.items():
        partners = set().union(*(together[info.path] for info, _ in members))
        lacking = [
            path.name for path, names in together.items() if name not in names and names & partners
        ]
        if lacking:
            progress.warn(
                f"{len(lacking)} rasters have no band '{name}', which others like them have: "
                f"{listed(lacking)}. Bands are matched by name."
            )


def _directions_of(members: Sequence[tuple[RasterInfo, BandInfo]]) -> set[str]:
    return {direction_of(info.path.stem) for info, _ in members}


def _series(
    covariate: str,
    direction: str,
    members: Sequence[tuple[RasterInfo, BandInfo]],
    progress: Progress,
) -> Series:
    name = f"{covariate}_{direction}" if direction else covariate
    units = list(dict.fromkeys(band.units for _, band in members if band.units))
    if len(units) > 1:
        progress.warn(
            f"The bands of {name} have different units: {', '.join(units)}. Bring them to one."
        )
    grid = common_grid([(info.path, info.grid) for info, _ in members])
    layers = [Layer(info.path, band.index, band.date) for info, band in members]
    layers.sort(key=lambda layer: (layer.day or date.min, str(layer.path), layer.band))
    unit = units[0] if len(units) == 1 else ""
    return Series(name, covariate, direction, unit, grid, tuple(layers))
