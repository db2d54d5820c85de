"""Daily series: days and cells without a value are filled from the days around them."""

from __future__ import annotations

import contextlib
import re
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Iterator, Sequence

import numpy as np

from ...errors import InputError
from ...progress import Progress
from ...rasters.cache import bounded_cache
from ...rasters.grids import Window
from ...rasters.names import date_in_name
from ...rasters.styles import continuous_style, paletted_style
from ...rasters.writing import BYTE_NODATA, RasterWriter, write_text
from ..rows import listed
from ..table import RasterInput, days_between
from .series import SEPARATE, Layer, Series, collect_series, describe_rasters, require_days
from .series_files import SeriesReader, blocks_of, refuse_own_inputs, staged_folder

METHODS = ("mean", "carry-forward")
MEAN, CARRY_FORWARD = METHODS

MEASURED, FROM_BEFORE, FROM_BOTH, FROM_AFTER, LAST_DAYS = range(5)
FLAGS = (
    (MEASURED, "Measured", "#1b7837"),
    (FROM_BEFORE, "Filled from earlier days", "#2166ac"),
    (FROM_BOTH, "Filled from earlier and later days", "#92c5de"),
    (FROM_AFTER, "Filled from later days", "#d6604d"),
    (LAST_DAYS, "Filled on one of the last days", "#fdb863"),
)
DAYS_AT_ONCE = 64  # days whose files are open together, values and flags
_BYTES = 160_000_000  # of the rasters of a window, and what is computed from them
_UNSAFE = re.compile(r'[\\/:*?"<>|\s]+')


@dataclass
class _Tally:
    """What became of the cells of a series."""

    cells: Counter[int] = field(default_factory=Counter)
    low: float = np.inf
    high: float = -np.inf

    def add(self, values: np.ndarray, flags: np.ndarray) -> int:
        """Count a block; return how many of its cells have a value."""
        counts = np.bincount(flags.ravel(), minlength=256)
        self.cells.update({code: int(counts[code]) for code in np.flatnonzero(counts)})
        filled = flags.size - int(counts[BYTE_NODATA])
        if filled:
            self.low = min(self.low, float(np.nanmin(values)))
            self.high = max(self.high, float(np.nanmax(values)))
        return filled


@dataclass(frozen=True)
class _Job:
    """A series, the days that may get a value, and how they are filled."""

    series: Series
    days: tuple[date, ...]
    window: int
    method: str
    folder: Path

    @property
    def reach(self) -> tuple[int, int]:
        """Days before and after a day that it may be filled from."""
        return self.window, (self.window if self.method == MEAN else 0)

    def path(self, day: date) -> Path:
        """Return where a day's raster goes."""
        return self.folder / file_name(self.series.name, day)

    def flag_path(self, day: date) -> Path:
        """Return where a day's flags go."""
        return self.folder / "flags" / file_name(self.series.name, day)


def fill_day(
    rasters: Sequence[tuple[date, np.ndarray]],
    day: date,
    *,
    method: str = MEAN,
    last: date | None = None,
    window: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Fill the missing cells of a day.

    Parameters
    ----------
    rasters : sequence of (date, array)
        The rasters of the window, in the order of their days; that of `day` itself is among them
        where there is one. NaN is missing.
    day : date
        The day.
    method : {"mean", "carry-forward"}
        The unweighted mean of all values of the window, or the latest value before the day.
    last, window : date, int
        The last day of the series and the reach of the window: a mean whose window reaches beyond
        `last` is flagged, since it changes once later rasters are there.

    Returns
    -------
    values : float64 array
        NaN where no day of the window has a value.
    flags : uint8 array
        0 measured, 1 filled from earlier days, 2 from earlier and later ones, 3 from later ones,
        4 filled by a window beyond the last day, 255 missing.
    """
    shape = rasters[0][1].shape
    own = [values for other, values in rasters if other == day]
    result = own[0].ravel().copy() if own else np.full(shape[0] * shape[1], np.nan)
    flags = np.where(np.isnan(result), BYTE_NODATA, MEASURED).astype(np.uint8)
    gaps = np.flatnonzero(flags == BYTE_NODATA)
    cells: np.ndarray | slice = slice(None) if gaps.size == flags.size else gaps
    others = [(other, values.ravel()[cells]) for other, values in rasters if other != day]
    if gaps.size and others:
        if method == MEAN:
            result[cells], codes = _mean(others, day)
            if last is not None and day + timedelta(days=window) > last:
                codes[codes != BYTE_NODATA] = LAST_DAYS
        else:
            result[cells], codes = _carried(others, day)
        flags[cells] = codes
    return result.reshape(shape), flags.reshape(shape)


def fill_gaps(
    inputs: Sequence[RasterInput],
    folder: str | Path,
    *,
    window: int = 3,
    method: str = MEAN,
    start: date | None = None,
    end: date | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> list[Path]:
    """Write one raster a day of each covariate, with missing cells filled over time.

    Values that are there stay. Block by block with a sliding window over time: memory grows
    neither with the rasters nor with the dates, and every raster is read about once.

    Parameters
    ----------
    inputs : sequence of RasterInput
        Dated rasters, by file or by band; bands of the same name form a series of one grid.
    folder : path
        Gets ``<covariate>_YYYYMMDD.tif``, and flags of the same names in its subfolder ``flags``.
        All files appear when the run has gone well, or none.
    window : int
        Days before and after (mean), or the largest age in days (carry-forward).
    method : {"mean", "carry-forward"}
        See :func:`fill_day`.
    start, end : date, optional
        The days wanted, both included; the first and the last of the inputs without. Rasters
        outside them fill too.
    threads : int
        How many threads compress what is written.
    progress : Progress, optional

    Returns
    -------
    list of Path
        The rasters written, in the order of their days. Days without any value have none.

    Raises
    ------
    InputError
        For rasters without date, a covariate twice on a day, ascending and descending images
        mixed, a run that would replace its inputs, and where no day has a value.
    RasterError
        For a series on two grids: the first two rasters are named.
    """
    progress = progress or Progress()
    _check_settings(window, method)
    infos = describe_rasters(inputs, progress.part(0.0, 0.05))
    series = collect_series(infos, directions=SEPARATE, progress=progress)
    _refuse_directions(series)
    require_days(series)
    every = [day for one in series for day in one.days]
    days = days_between(start or min(every), end or max(every))
    target = Path(folder).absolute()
    with staged_folder(target) as staging, bounded_cache():
        jobs = [_plan(one, days, window, method, staging) for one in series]
        outputs = [target / job.path(day).name for job in jobs for day in job.days]
        _check_outputs(jobs, outputs)
        refuse_own_inputs([info.path for info in infos], outputs, "Choose another folder.")
        written: list[tuple[date, Path]] = []
        with SeriesReader(progress) as reader:
            for job, part in zip(jobs, _parts(jobs, progress.part(0.05, 0.98))):
                done = _fill(job, reader, threads, part)
                written += [(day, target / job.path(day).name) for day in done]
                _report(job, days, done, target, progress)
        if not written:
            raise InputError(
                f"No day from {days[0]} to {days[-1]} has a value: the rasters are of "
                f"{min(every)} to {max(every)}.",
                "Choose other days, or a longer window.",
            )
    return [path for _, path in sorted(written, key=lambda item: item[0])]


def file_name(covariate: str, day: date) -> str:
    """Return the file name of a covariate's day.

    Examples
    --------
    >>> file_name("LST day/night", date(2021, 4, 1))
    'LST_day_night_20210401.tif'
    """
    return f"{_UNSAFE.sub('_', covariate)}_{day:%Y%m%d}.tif"


def _mean(others: Sequence[tuple[date, np.ndarray]], day: date) -> tuple[np.ndarray, np.ndarray]:
    total = np.zeros(others[0][1].shape)
    before = np.zeros(total.shape, dtype=np.int32)
    after = np.zeros(total.shape, dtype=np.int32)
    for other, values in others:
        there = ~np.isnan(values)
        total += np.where(there, values, 0.0)
        side = before if other < day else after
        side += there
    count = before + after
    values = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    codes = np.full(total.shape, FROM_BOTH, dtype=np.uint8)
    codes[after == 0] = FROM_BEFORE
    codes[before == 0] = FROM_AFTER
    codes[count == 0] = BYTE_NODATA
    return values, codes


def _carried(others: Sequence[tuple[date, np.ndarray]], day: date) -> tuple[np.ndarray, np.ndarray]:
    values = np.full(others[0][1].shape, np.nan)
    for other, earlier in reversed(others):
        if other < day:
            np.copyto(values, earlier, where=np.isnan(values))
    codes = np.where(np.isnan(values), BYTE_NODATA, FROM_BEFORE).astype(np.uint8)
    return values, codes


def _fill(job: _Job, reader: SeriesReader, threads: int, progress: Progress) -> list[date]:
    """Write the days of a series in batches; return those that have a value."""
    tally = _Tally()
    done: list[date] = []
    for first in range(0, len(job.days), DAYS_AT_ONCE):
        days = job.days[first : first + DAYS_AT_ONCE]
        part = progress.part(first / len(job.days), (first + len(days)) / len(job.days))
        filled = _fill_batch(job, days, reader, threads, tally, part)
        for day, cells in zip(days, filled):
            if cells:
                done.append(day)
                continue
            for path in (job.path(day), job.flag_path(day)):
                path.unlink()
                path.with_suffix(".qml").unlink()
    if done:
        # one style for all days, so that they can be compared
        style = continuous_style(tally.low, tally.high)
        for day in done:
            write_text(style, job.path(day).with_suffix(".qml"))
        _report_cells(job, tally, progress)
    return done


def _fill_batch(
    job: _Job,
    days: Sequence[date],
    reader: SeriesReader,
    threads: int,
    tally: _Tally,
    progress: Progress,
) -> list[int]:
    """Write some days block by block; return how many cells of each have a value."""
    filled = [0] * len(days)
    blocks = blocks_of(job.series.grid, _BYTES // (8 * (_most_rasters(job) + 6)))
    with contextlib.ExitStack() as stack:
        writers = [_open_day(job, day, threads, stack) for day in days]
        for number, block in enumerate(blocks):
            for place, (values, flags) in enumerate(_filled_days(job, days, reader, block)):
                filled[place] += tally.add(values, flags)
                writers[place][0].write(block, values[None])
                writers[place][1].write(block, flags[None])
                progress.step((number + (place + 1) / len(days)) / len(blocks))
    return filled


def _filled_days(
    job: _Job, days: Sequence[date], reader: SeriesReader, block: Window
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield values and flags of each day, with the rasters of its window in memory alone."""
    before, after = (timedelta(days=reach) for reach in job.reach)
    coming = deque(layer for layer in job.series.layers if _day(layer) >= days[0] - before)
    held: deque[tuple[date, np.ndarray]] = deque()
    last = job.series.days[-1]
    for day in days:
        while held and held[0][0] < day - before:
            held.popleft()
        while coming and _day(coming[0]) <= day + after:
            layer = coming.popleft()
            if _day(layer) >= day - before:
                values = reader.read(layer.path, [layer.band], block)[0]
                held.append((_day(layer), values))
        yield fill_day(held, day, method=job.method, last=last, window=job.window)


def _open_day(
    job: _Job, day: date, threads: int, stack: contextlib.ExitStack
) -> tuple[RasterWriter, RasterWriter]:
    one = job.series
    values = RasterWriter(
        job.path(day),
        one.grid,
        [one.name],
        day=day,
        units=[one.units] if one.units else None,
        threads=threads,
    )
    flags = RasterWriter(
        job.flag_path(day),
        one.grid,
        [f"{one.name}_flag"],
        dtype="uint8",
        day=day,
        style=paletted_style(FLAGS),
        threads=threads,
    )
    return stack.enter_context(values), stack.enter_context(flags)


def _plan(series: Series, days: Sequence[date], window: int, method: str, folder: Path) -> _Job:
    """Leave out the days whose window holds no raster."""
    reach = _Job(series, (), window, method, folder).reach
    known = np.array([day.toordinal() for day in series.days])
    wanted = np.array([day.toordinal() for day in days])
    inside = np.searchsorted(known, wanted + reach[1], side="right") > np.searchsorted(
        known, wanted - reach[0], side="left"
    )
    some = tuple(day for day, there in zip(days, inside) if there)
    return _Job(series, some, window, method, folder)


def _most_rasters(job: _Job) -> int:
    """Return how many rasters the fullest window holds."""
    known = np.array([day.toordinal() for day in job.series.days])
    span = sum(job.reach)
    return int((np.searchsorted(known, known + span, side="right") - np.arange(known.size)).max())


def _parts(jobs: Sequence[_Job], progress: Progress) -> list[Progress]:
    total = max(1, sum(len(job.days) for job in jobs))
    parts, done = [], 0
    for job in jobs:
        parts.append(progress.part(done / total, (done + len(job.days)) / total))
        done += len(job.days)
    return parts


def _check_settings(window: int, method: str) -> None:
    if window < 0:
        raise InputError(f"A window of {window} days is none.", "Give 0 or more.")
    if method not in METHODS:
        raise InputError(f"The method '{method}' is unknown.", f"Use {' or '.join(METHODS)}.")


def _refuse_directions(series: Sequence[Series]) -> None:
    mixed = sorted({one.covariate for one in series if one.direction})
    if mixed:
        raise InputError(
            f"Ascending and descending images of {', '.join(mixed)} are given together: a mean "
            "over both would show neither.",
            "Fill each direction on its own, into a folder of its own.",
        )


def _check_outputs(jobs: Sequence[_Job], outputs: Sequence[Path]) -> None:
    """Raise where a file's date would be read wrongly, or two covariates share a file name."""
    for job in jobs:
        day = job.series.days[0]
        if date_in_name(Path(file_name(job.series.name, day)).stem)[0] != day:
            raise InputError(
                f"The name of the covariate '{job.series.name}' holds a date.",
                "Give its band a description without one.",
            )
    twice = [name for name, count in Counter(p.name.lower() for p in outputs).items() if count > 1]
    if twice:
        raise InputError(
            f"Two covariates would be written to the same files: {listed(sorted(twice))}.",
            "Give their bands names that differ in letters or digits.",
        )


def _report(
    job: _Job, wanted: Sequence[date], done: Sequence[date], target: Path, progress: Progress
) -> None:
    name = job.series.name
    lacking = len(wanted) - len(done)
    left = f"; {lacking} more days have no value, and so no raster" if lacking else ""
    progress.info(f"{name}: {len(done)} rasters, one a day, from {len(job.series.days)}{left}.")
    stale = [
        file_name(name, day)
        for day in wanted
        if day not in set(done) and (target / file_name(name, day)).exists()
    ]
    if stale:
        progress.warn(
            f"Rasters of an earlier run stay, of days that have no value now: {listed(stale)}."
        )
    steps = np.diff([day.toordinal() for day in job.series.days])
    apart = int(np.median(steps)) if steps.size else 1
    needed = apart - 1 if job.method == CARRY_FORWARD else apart // 2
    if needed > job.window:
        progress.warn(
            f"The rasters of {name} are {apart} days apart (median), so that a window of "
            f"{job.window} days leaves days between them without a value: give {needed} or more."
        )


def _report_cells(job: _Job, tally: _Tally, progress: Progress) -> None:
    total = sum(tally.cells.values())
    shares = [
        f"{label[0].lower()}{label[1:]} {tally.cells[code] / total:.1%}"
        for code, label, _ in FLAGS
        if tally.cells[code]
    ]
    missing = tally.cells[BYTE_NODATA] / total
    progress.info(f"{job.series.name}, cells: {', '.join(shares)}, missing {missing:.1%}.")


def _day(layer: Layer) -> date:
    """Return the day of a layer that is known to have one."""
    return layer.day or date.min
