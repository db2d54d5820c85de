"""How long computations report progress, speak to the user and learn that they were cancelled."""

from __future__ import annotations

from .errors import Cancelled


class Progress:
    """Silent progress; the base of every other and the default of core functions.

    A subclass overrides :meth:`report`, :meth:`info`, :meth:`warn` and :attr:`cancelled`.
    """

    @property
    def cancelled(self) -> bool:
        """Whether the user has asked to stop."""
        return False

    def report(self, fraction: float) -> None:
        """Say that `fraction` (0–1) of the work is done."""

    def info(self, text: str) -> None:
        """Tell the user a fact about the run."""

    def warn(self, text: str) -> None:
        """Tell the user of something that may spoil the result."""

    def check(self) -> None:
        """Raise `Cancelled` where the user has asked to stop."""
        if self.cancelled:
            raise Cancelled

    def step(self, fraction: float) -> None:
        """Report `fraction` and raise `Cancelled` where the user has asked to stop."""
        self.check()
        self.report(fraction)

    def part(self, start: float, stop: float) -> Progress:
        """Return a progress whose 0–1 covers `start`–`stop` of this one."""
        return _Part(self, start, stop)


class _Part(Progress):
    def __init__(self, whole: Progress, start: float, stop: float) -> None:
        self._whole = whole
        self._start = start
        self._span = stop - start

    @property
    def cancelled(self) -> bool:
        return self._whole.cancelled

    def report(self, fraction: float) -> None:
        self._whole.report(self._start + self._span * fraction)

    def info(self, text: str) -> None:
        self._whole.info(text)

    def warn(self, text: str) -> None:
        self._whole.warn(text)


class RecordingProgress(Progress):
    """Keeps what was said in `messages` and `warnings`, and passes it on to another progress.

    Reports list the warnings of the run they describe.
    """

    def __init__(self, passed_to: Progress | None = None) -> None:
        self._passed_to = passed_to or Progress()
        self.messages: list[str] = []
        self.warnings: list[str] = []
        self.fraction = 0.0

    @property
    def cancelled(self) -> bool:
        return self._passed_to.cancelled

    def report(self, fraction: float) -> None:
        self.fraction = fraction
        self._passed_to.report(fraction)

    def info(self, text: str) -> None:
        self.messages.append(text)
        self._passed_to.info(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)
        self._passed_to.warn(text)
