"""Errors a user can act on: each says what is wrong and what to do."""

from __future__ import annotations


class PluginError(Exception):
    """Root of every error the core raises on purpose.

    Parameters
    ----------
    cause : str
        What is wrong, with the value and the name the user knows.
    cure : str, optional
        What to do about it.
    """

    def __init__(self, cause: str, cure: str = "") -> None:
        super().__init__(f"{cause} {cure}".strip())
        self.cause = cause
        self.cure = cure


class InputError(PluginError):
    """A table, field, parameter or setting cannot be used."""


class RasterError(PluginError):
    """A raster cannot be read, matched or written."""


class ModelFileError(PluginError):
    """A model file is damaged, foreign, newer than the program or not written by it."""


class MissingPackageError(PluginError):
    """A Python package that an algorithm needs is not installed."""


class Cancelled(PluginError):
    """The user stopped the run."""

    def __init__(self) -> None:
        super().__init__("Cancelled.")
