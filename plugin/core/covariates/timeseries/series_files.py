"""The files of a series: read with few of them open, written all together or not at all."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Iterator, Sequence

import numpy as np

from ...errors import InputError, RasterError
from ...progress import Progress
from ...rasters.grids import Grid, Window
from ...rasters.reading import RasterReader, open_raster, warn_of_marks
from ...rasters.tiles import TILE
from ..rows import listed

OPEN_FILES = 64
_NAMED = 3  # rasters named in one warning
_SIDECARS = (".aux.xml", ".ovr", ".msk")


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
