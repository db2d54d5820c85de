"""Which clock the times of delimited files follow, told once for all files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timezone, tzinfo

import numpy as np

from ..progress import Progress
from .csv_layout import plain_header
from .times import has_local_clock, moved_days, tell_moved

_LOCAL = frozenset({"lst", "local", "lt", "localtime"})


class Clocks:
    """Hears the columns of times of each file, and tells what becomes of local times."""

    def __init__(self) -> None:
        self._moved: list[np.ndarray] = []
        self._zoned: list[str] = []
        self._header = ""
        self._without: dict[str, bool] = {}

    def hear(self, header: str, cells: Sequence[str], moments: np.ndarray) -> None:
        """Take a column of times and its moments in UTC, datetime64[s] (n,)."""
        texts, moved = moved_days(cells, moments)
        if texts:
            self._header = self._header or header
            self._zoned += texts
            self._moved.append(moved)
        bare = [cell for cell in cells[:1] if cell] or [cell for cell in cells if cell][:1]
        if not texts and bare:
            self._without[header] = self._without.get(header, False) or has_local_clock(bare[0])

    def tell(self, zone: tzinfo, progress: Progress) -> None:
        """Say what was heard."""
        if self._zoned:
            tell_moved(self._header, self._zoned, np.concatenate(self._moved), progress)
        if self._zoned and zone is not timezone.utc:
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
