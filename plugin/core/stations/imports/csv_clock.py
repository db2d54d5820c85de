"""Which clock the times of delimited files follow, told once for all files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timezone, tzinfo

import numpy as np

from ...progress import Progress
from ..times import has_local_clock, moved_days, tell_moved
from .csv_layout import plain_header

_LOCAL = frozenset({"lst", "local", "lt", "localtime"})


class Clocks:
    """Hears the columns of times of each file, and tells what becomes of local times."""

    def __init__(self) -> None:
        self._times = self._moved = 0
        self._example = self._header = ""
        self._without: dict[str, bool] = {}

    def hear(self, header: str, cells: Sequence[str], moments: np.ndarray) -> None:
        """Take a column of times and its moments in UTC, datetime64[s] (n,)."""
        times, moved, example = moved_days(cells, moments)
        self._times += times
        self._moved += moved
        self._example = self._example or example
        if times:
            self._header = self._header or header
        if times == len(cells):
            return
        local = next((True for cell in cells if has_local_clock(cell)), False)
        if local or not times:
            self._without[header] = self._without.get(header, False) or local

    def tell(self, zone: tzinfo, progress: Progress) -> None:
        """Say what was heard."""
        if self._times:
            tell_moved(self._header, self._times, self._moved, self._example, progress)
        if self._times and zone is not timezone.utc:
            progress.info(f"TIMEZONE {zone} is not used for times with an offset.")
        for header, has_clock in self._without.items():
            local = bool(_LOCAL & set(plain_header(header).split("_")))
            if local and not has_clock:
                progress.warn(f"'{header}' holds local days, which are taken as days in UTC.")
            elif local and zone is timezone.utc:
                progress.warn(
                    f"'{header}' holds local times, which are read as UTC: set TIMEZONE to theirs."
                )
            elif has_clock and zone is timezone.utc:
                progress.info(
                    f"The times of '{header}' have no offset and are read as UTC: set TIMEZONE "
                    "where they are local."
                )
            elif has_clock:
                progress.info(f"The times of '{header}' have no offset and are read in {zone}.")
