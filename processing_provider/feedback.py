"""The core's progress, shown in QGIS."""

from __future__ import annotations

from qgis.core import QgsProcessingFeedback

from ..plugin.core.progress import Progress


class FeedbackProgress(Progress):
    """Passes progress and messages on to QGIS and asks it whether the user stopped the run."""

    def __init__(self, feedback: QgsProcessingFeedback) -> None:
        self._feedback = feedback

    @property
    def cancelled(self) -> bool:
        return self._feedback.isCanceled()

    def report(self, fraction: float) -> None:
        self._feedback.setProgress(100.0 * min(max(fraction, 0.0), 1.0))

    def info(self, text: str) -> None:
        self._feedback.pushInfo(text)

    def warn(self, text: str) -> None:
        self._feedback.pushWarning(text)
