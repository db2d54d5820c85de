"""Values of many rasters at the places of stations: each file opened once, in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...covariates.rows import CovariateRow
from ...progress import Progress, RecordingProgress
from ...rasters.cache import bounded_cache
from ...rasters.sampling import Points, sample_at
from ...rasters.workers import compute_in_order
from ..table import Table

_MOST_WARNINGS = 10


@dataclass(frozen=True)
class Places:
    """The different places of observations.

    Parameters
    ----------
    points : Points
        m of them.
    of_row : int64 (n,)
        Place of each observation, -1 where it has none.
    """

    points: Points
    of_row: np.ndarray


@dataclass(frozen=True)
class FileRequest:
    """Bands of one file with their way of reading and the observations that ask for them."""

    path: Path
    rows: tuple[CovariateRow, ...]
    methods: tuple[str, ...]
    members: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class FileValues:
    """What a file holds: for each band the values (members,) and whether they lie inside."""

    request: FileRequest
    values: tuple[np.ndarray, ...]
    inside: tuple[np.ndarray, ...]


def places_of(table: Table, usable: np.ndarray) -> Places:
    """Return the different places of the usable rows of a table."""
    members = np.flatnonzero(usable)
    where = np.column_stack([table.x[members], table.y[members]])
    unique, place = np.unique(where, axis=0, return_inverse=True)
    of_row = np.full(len(table), -1, dtype=np.int64)
    of_row[members] = place.reshape(-1)
    return Places(Points(unique[:, 0], unique[:, 1], table.crs), of_row)


def group_by_file(
    asked: Iterable[tuple[Path, CovariateRow, str, np.ndarray]],
) -> list[FileRequest]:
    """Put together what is asked of each file, so that it is opened once."""
    found: dict[Path, list[tuple[CovariateRow, str, np.ndarray]]] = {}
    for path, row, method, members in asked:
        found.setdefault(path, []).append((row, method, members))
    return [
        FileRequest(path, *(tuple(part) for part in zip(*parts))) for path, parts in found.items()
    ]


def read_files(
    requests: Sequence[FileRequest],
    places: Places,
    take: Callable[[FileValues], None],
    *,
    threads: int = 1,
    progress: Progress,
) -> None:
    """Read files at the places of the observations that ask them.

    Parameters
    ----------
    take : callable
        Called with the :class:`FileValues` of each file, in order, in this thread.
    threads : int
        Files read at a time; the result does not depend on it.
    """
    done = warned = 0

    def work(request: FileRequest) -> tuple[FileValues, list[str]]:
        heard = RecordingProgress()
        return _read(request, places, heard), heard.warnings

    def hand_over(_: FileRequest, result: tuple[FileValues, list[str]]) -> None:
        nonlocal done, warned
        done += 1
        progress.step(done / len(requests))
        for text in result[1]:
            warned += 1
            if warned <= _MOST_WARNINGS:
                progress.warn(text)
        take(result[0])

    with bounded_cache():
        compute_in_order(work, requests, hand_over, threads, progress)
    if warned > _MOST_WARNINGS:
        progress.warn(f"{warned - _MOST_WARNINGS} more warnings of rasters like these.")


def _read(request: FileRequest, places: Places, progress: Progress) -> FileValues:
    asking = [places.of_row[members] for members in request.members]
    chosen = np.unique(np.concatenate(asking))
    values, inside = sample_at(
        request.path,
        [row.band for row in request.rows],
        places.points,
        chosen,
        request.methods,
        progress=progress,
    )
    at = [np.searchsorted(chosen, own) for own in asking]
    return FileValues(
        request,
        tuple(values[band, own] for band, own in enumerate(at)),
        tuple(inside[own] for own in at),
    )
