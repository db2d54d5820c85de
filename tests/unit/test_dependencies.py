"""Which packages are missing, and what the user is told to do."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path

import pytest
from soil_moisture_mapper.plugin.core import dependencies
from soil_moisture_mapper.plugin.core.dependencies import (
    REQUIRED,
    Package,
    install_hint,
    installed_version,
    missing_packages,
    missing_text,
    plugin_version,
    require,
)
from soil_moisture_mapper.plugin.core.errors import MissingPackageError

SKLEARN = next(package for package in REQUIRED if package.module == "sklearn")
RASTERIO = next(package for package in REQUIRED if package.module == "rasterio")


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> object:
    """Hide modules."""
    find_spec = importlib.util.find_spec

    def hide(*modules: str) -> None:
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda name, package=None: None if name in modules else find_spec(name, package),
        )

    return hide


def test_version_is_that_of_the_metadata(root: Path) -> None:
    text = (root / "metadata.txt").read_text(encoding="utf-8")
    assert f"\nversion={plugin_version()}\n" in text
    assert re.fullmatch(r"\d+\.\d+\.\d+", plugin_version())


def test_nothing_is_missing_here() -> None:
    assert missing_packages() == []
    require(*(package.module for package in REQUIRED))


def test_required_packages_are_those_of_the_requirements(root: Path) -> None:
    lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    given = dict(re.findall(r"^([a-z-]+)>=([\d.]+)", "\n".join(lines), re.MULTILINE))
    for package in REQUIRED:
        assert given[package.name] == package.minimum


def test_missing_package_is_named_with_its_pip_name(without) -> None:
    without("sklearn")
    assert missing_packages() == [SKLEARN]
    assert missing_packages(["numpy", "rasterio"]) == []
    with pytest.raises(MissingPackageError) as caught:
        require("numpy", "sklearn")
    assert str(caught.value).startswith(
        "The Python package scikit-learn (1.2 or newer) is missing. To install, "
    )


def test_old_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.1.9")
    assert missing_packages(["sklearn"]) == [SKLEARN]
    assert missing_text([SKLEARN]) == (
        "The Python package scikit-learn (1.2 or newer, found 1.1.9) is missing."
    )


@pytest.mark.parametrize("version", ["1.2", "1.2.0rc1", "1.10.0", "2.0", "1.3.post1"])
def test_new_enough(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    assert missing_packages(["sklearn"]) == []


def test_module_without_metadata_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", unknown)
    assert installed_version(RASTERIO) == ""
    assert missing_packages(["rasterio"]) == []


def test_broken_package_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ImportError("libgdal.so.99 is not there")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(MissingPackageError) as caught:
        require("rasterio")
    assert str(caught.value).startswith(
        "The Python package rasterio is installed but cannot be used: libgdal.so.99 is not there. "
    )


@pytest.mark.parametrize(
    ("platform", "start"),
    [
        (
            "win32",
            "To install, open the OSGeo4W Shell in the Start menu's QGIS folder and run: "
            'python -m pip install --user "rasterio>=1.3" "scikit-learn>=1.2" "attrs>=23.2" '
            '"numpy==',
        ),
        ("darwin", "To install, open Terminal and run: "),
        (
            "linux",
            "To install, run in a terminal: sudo apt install python3-rasterio python3-sklearn "
            "(Debian, Ubuntu), or elsewhere: python3 -m pip install --user ",
        ),
    ],
)
def test_hint_keeps_the_running_numpy(
    monkeypatch: pytest.MonkeyPatch, platform: str, start: str
) -> None:
    monkeypatch.delenv("FLATPAK_ID", raising=False)
    hint = install_hint([RASTERIO, SKLEARN], platform)
    assert hint.startswith(start)
    assert f'"numpy=={importlib.metadata.version("numpy")}"' in hint
    assert hint.endswith(" Then restart QGIS.")


def test_hint_in_a_flatpak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLATPAK_ID", "org.qgis.qgis")
    assert "flatpak run --command=python3 org.qgis.qgis -m pip" in install_hint([SKLEARN], "linux")


def test_hint_on_macos_names_the_bundled_python(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "QGIS.app" / "Contents" / "MacOS" / "bin" / "python3"
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.setattr(sys, "prefix", str(python.parents[1]))
    assert f'run: "{python}" -m pip install' in install_hint([SKLEARN], "darwin")


def test_missing_numpy_is_not_pinned(without) -> None:
    without("numpy")
    numpy = Package("numpy", "numpy", "1.22", "python3-numpy")
    assert "numpy==" not in install_hint([numpy], "win32")


def test_check_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependencies.importlib, "import_module", pytest.fail)
    missing_packages()
