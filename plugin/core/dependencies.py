"""Which packages the core needs, which are missing, and how to install them."""

from __future__ import annotations

import configparser
import importlib
import importlib.metadata
import importlib.util
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import MissingPackageError

_METADATA = Path(__file__).resolve().parents[2] / "metadata.txt"


@dataclass(frozen=True)
class Package:
    """A Python package that the core imports.

    Parameters
    ----------
    module : str
        Name it is imported by.
    name : str
        Name pip knows it by.
    minimum : str
        Oldest version that works.
    debian : str
        Name of the package in Debian and Ubuntu.
    """

    module: str
    name: str
    minimum: str
    debian: str


REQUIRED = (
    Package("numpy", "numpy", "1.22", "python3-numpy"),
    Package("scipy", "scipy", "1.8", "python3-scipy"),
    Package("rasterio", "rasterio", "1.3", "python3-rasterio"),
    Package("sklearn", "scikit-learn", "1.2", "python3-sklearn"),
    Package("joblib", "joblib", "1.2", "python3-joblib"),
    Package("matplotlib", "matplotlib", "3.5", "python3-matplotlib"),
)
OPTIONAL = (Package("numba", "numba", "0.57", "python3-numba"),)
"""Packages the core does without: numba makes predictions several times as fast."""
AFFINE_NEEDS = '"attrs>=23.2"'
"""With older ones affine, on which rasterio rests, fails; pip does not see it."""


def plugin_version() -> str:
    """Return the plugin's version, as `metadata.txt` gives it."""
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(_METADATA, encoding="utf-8")
    return metadata.get("general", "version")


def installed_version(package: Package) -> str | None:
    """Return the installed version of a package, without importing it; None where it is missing.

    A module without metadata gives an empty text.
    """
    if importlib.util.find_spec(package.module) is None:
        return None
    try:
        return importlib.metadata.version(package.name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def missing_packages(modules: Iterable[str] | None = None) -> list[Package]:
    """Return the packages that are missing or too old.

    Parameters
    ----------
    modules : iterable of str, optional
        Names the packages are imported by; None = all of `REQUIRED`.
    """
    wanted = None if modules is None else set(modules)
    packages = [p for p in REQUIRED if wanted is None or p.module in wanted]
    return [package for package in packages if not _suffices(package)]


def require(*modules: str) -> None:
    """Raise unless the packages are there, new enough, and can be imported.

    Raises
    ------
    MissingPackageError
        Names what is missing and how to install it here.
    """
    missing = missing_packages(modules)
    if missing:
        raise MissingPackageError(missing_text(missing), install_hint(missing))
    for package in REQUIRED:
        if package.module not in modules:
            continue
        try:
            importlib.import_module(package.module)
        except ImportError as error:
            raise MissingPackageError(
                f"The Python package {package.name} is installed but cannot be used: {error}.",
                install_hint([package]),
            ) from error


def missing_text(packages: Iterable[Package]) -> str:
    """Return a sentence that names the packages and the versions needed."""
    named = [_with_version(package) for package in packages]
    one = len(named) == 1
    return (
        f"The Python package{'' if one else 's'} {', '.join(named)} "
        f"{'is' if one else 'are'} missing."
    )


def install_hint(packages: Iterable[Package], platform: str | None = None) -> str:
    """Return how to install packages for the Python of this QGIS.

    NumPy keeps its version: QGIS's GDAL bindings were built against it.

    Parameters
    ----------
    packages : iterable of Package
    platform : str, optional
        As `sys.platform`; left out = the running one.
    """
    packages = list(packages)
    platform = sys.platform if platform is None else platform
    pip = f"-m pip install --user {_pip_names(packages)}"
    if platform == "win32":
        where = f"open the OSGeo4W Shell in the Start menu's QGIS folder and run: python {pip}"
    elif platform == "darwin":
        where = f'open Terminal and run: "{_bundled_python()}" {pip}'
    elif os.environ.get("FLATPAK_ID"):
        where = f"run in a terminal: flatpak run --command=python3 {os.environ['FLATPAK_ID']} {pip}"
    else:
        debian = " ".join(package.debian for package in packages)
        where = (
            f"run in a terminal: sudo apt install {debian} (Debian, Ubuntu), "
            f"or elsewhere: python3 {pip}"
        )
    return f"To install, {where}. Then restart QGIS."


def _suffices(package: Package) -> bool:
    version = installed_version(package)
    if version is None:
        return False
    return not version or _numbers(version) >= _numbers(package.minimum)


def _with_version(package: Package) -> str:
    found = installed_version(package)
    having = f", found {found}" if found else ""
    return f"{package.name} ({package.minimum} or newer{having})"


def _numbers(version: str) -> tuple[int, ...]:
    leading = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in leading.group().split(".")) if leading else ()


def _pip_names(packages: Iterable[Package]) -> str:
    names = [f'"{package.name}>={package.minimum}"' for package in packages]
    if any(package.module == "rasterio" for package in packages):
        names.append(AFFINE_NEEDS)
    numpy = installed_version(REQUIRED[0])
    if numpy and not any(package.module == "numpy" for package in packages):
        names.append(f'"numpy=={numpy}"')
    return " ".join(names)


def _bundled_python() -> Path:
    """Python of a QGIS application bundle, whose `sys.executable` is QGIS itself."""
    prefix = Path(sys.prefix)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folders = (prefix / "bin", prefix, Path(sys.executable).parent / "bin")
    places = [folder / name for folder in folders for name in ("python3", "python", version)]
    bundle = Path("/Applications/QGIS.app/Contents/MacOS/bin/python3")
    return next((place for place in places if place.is_file()), bundle)
