"""Compiled kernels: whether there are any, and where their machine code is kept."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

SWITCH = "SOIL_MOISTURE_ENGINE"
"""Environment variable: ``numpy`` leaves compiled kernels alone."""

_NAME = "soil-moisture-mapper"


class Kernels:
    """A module of compiled kernels, imported when it is first asked for.

    Parameters
    ----------
    module : str
        Name of the module beside the caller's.
    package : str
        The caller's package.
    """

    def __init__(self, module: str, package: str) -> None:
        self._name = f".{module}"
        self._package = package
        self._unusable = threading.Event()

    def chosen(self) -> ModuleType | None:
        """Return the module; None where the work is to be done without it."""
        if self._unusable.is_set() or os.environ.get(SWITCH, "").strip().lower() == "numpy":
            return None
        return self._module

    def give_up(self) -> None:
        """Leave the module alone from now on: this numba cannot compile it."""
        self._unusable.set()

    @cached_property
    def _module(self) -> ModuleType | None:
        """The module; None where numba is missing or does not fit this NumPy."""
        if find_spec("numba") is None:
            return None
        try:
            return import_module(self._name, self._package)
        except (ImportError, AttributeError, SystemError, OSError, RuntimeError):
            return None


@cache
def cache_folder() -> Path | None:
    """Return the folder for machine code, made where it is missing; None where there can be none.

    ``$NUMBA_CACHE_DIR`` where it is set, else a folder of the user's own: below
    ``$XDG_CACHE_HOME`` or ``~/.cache`` on Linux, ``~/Library/Caches`` on macOS,
    ``%LOCALAPPDATA%`` on Windows. Never the plugin's folder, which may be read-only, nor a shared
    temporary one, since what lies there is run. Without a folder every session compiles anew.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    try:
        folder = Path(chosen).absolute() if chosen else _users_caches() / _NAME
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # no right to write, no home
        return None


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function to be compiled when it is first called, and to hold no lock then."""
    import numba

    with own_cache():
        return numba.njit(nogil=True, error_model="numpy", cache=cache_folder() is not None)(
            function
        )


@contextlib.contextmanager
def own_cache() -> Iterator[None]:
    """Point numba at `cache_folder` for the functions decorated inside.

    numba reads the setting when a function is decorated; other users of numba in this process
    keep theirs.
    """
    from numba.core import config

    folder = cache_folder()
    before = config.CACHE_DIR
    if folder is not None:
        # what is kept names its modules: one folder for each name of the package
        config.CACHE_DIR = str(folder / __name__.partition(".")[0])
    try:
        yield
    finally:
        config.CACHE_DIR = before


def _users_caches() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    own = os.environ.get("XDG_CACHE_HOME", "")
    return Path(own) if own.startswith("/") else Path.home() / ".cache"
