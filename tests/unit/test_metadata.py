"""What plugins.qgis.org and the user see of the plugin: one version, one licence, one package."""

from __future__ import annotations

import configparser
import importlib.util
import re
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from soil_moisture_mapper.plugin.core.dependencies import REQUIRED, plugin_version


@pytest.fixture(scope="module")
def metadata(root: Path) -> configparser.SectionProxy:
    """The section `general` of metadata.txt."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(root / "metadata.txt", encoding="utf-8")
    return parser["general"]


@pytest.fixture(scope="module")
def packaging(root: Path) -> ModuleType:
    """The script that writes the package."""
    path = root / "scripts" / "package_plugin.py"
    spec = importlib.util.spec_from_file_location("package_plugin", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "key",
    [
        "name",
        "description",
        "about",
        "version",
        "qgisMinimumVersion",
        "author",
        "email",
        "homepage",
        "repository",
        "tracker",
    ],
)
def test_keys_the_repository_asks_for(metadata: configparser.SectionProxy, key: str) -> None:
    assert metadata.get(key, "").strip()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "Soil Moisture Mapper"),
        ("qgisMinimumVersion", "3.40"),
        ("qgisMaximumVersion", "4.99"),
        ("supportsQt6", "True"),
        ("hasProcessingProvider", "yes"),
    ],
)
def test_promises_to_qgis(metadata: configparser.SectionProxy, key: str, value: str) -> None:
    assert metadata[key] == value


def test_links_and_icon(metadata: configparser.SectionProxy, root: Path) -> None:
    for key in ("homepage", "repository", "tracker"):
        assert metadata[key].startswith("https://")
    assert (root / metadata["icon"]).is_file()


def test_one_version(metadata: configparser.SectionProxy, root: Path) -> None:
    version = metadata["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert plugin_version() == version
    assert re.search(
        rf"^## \[{re.escape(version)}\]", (root / "CHANGELOG.md").read_text("utf-8"), re.M
    )
    assert re.search(
        rf"^version: {re.escape(version)}$", (root / "CITATION.cff").read_text("utf-8"), re.M
    )


def test_licence(root: Path) -> None:
    text = (root / "LICENSE").read_text("utf-8")
    assert "GNU GENERAL PUBLIC LICENSE\n                       Version 2, June 1991" in text
    assert "license: GPL-2.0-or-later" in (root / "CITATION.cff").read_text("utf-8")


def test_links_between_pages(root: Path) -> None:
    pages = [*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("resources/**/*.md")]
    links = [
        (page.relative_to(root).as_posix(), target)
        for page in pages
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
        if not target.startswith(("http", "#", "mailto:"))
    ]
    assert len(links) > 20
    wrong = [
        (page, to)
        for page, to in links
        if not (root / page).parent.joinpath(to.split("#")[0]).exists()
    ]
    assert wrong == []


def test_requirements_are_those_the_plugin_checks(root: Path) -> None:
    lines = (root / "requirements.txt").read_text("utf-8").splitlines()
    minimum = dict(re.match(r"([\w-]+)>=([\d.]+)", line).groups() for line in lines if ">=" in line)
    checked = {package.name: package.minimum for package in REQUIRED}
    assert checked.items() <= minimum.items()


def test_package_holds_what_runs_and_nothing_else(
    packaging: ModuleType, root: Path, tmp_path: Path
) -> None:
    package = packaging.write_package(tmp_path)
    assert package.name == f"soil_moisture_mapper-{plugin_version()}.zip"
    with zipfile.ZipFile(package) as archive:
        names = set(archive.namelist())
    assert {name.split("/")[0] for name in names} == {"soil_moisture_mapper"}
    inner = {name.split("/", 1)[1] for name in names}
    assert {"__init__.py", "metadata.txt", "LICENSE", "plugin/main.py"} <= inner
    modules = {path.relative_to(root).as_posix() for path in (root / "plugin").rglob("*.py")}
    assert modules <= inner
    left_out = ("tests", "scripts", "benchmarks", "docs", "output", "dist", ".")
    assert not [name for name in inner if name.startswith(left_out) or "__pycache__" in name]


def test_package_is_reproducible(packaging: ModuleType, tmp_path: Path) -> None:
    first, second = (packaging.write_package(tmp_path / name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()
