"""Who may import whom, read from the source; and what no shipped file may contain.

The rules are functions from a folder to a list of breaches, so that each is also shown a tree that
breaks it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SHIPPED = ("plugin", "processing_provider", "ui")

# part -> parts it may import besides itself; a module belongs to the longest part that fits
BASE = {
    "plugin.core.errors",
    "plugin.core.progress",
    "plugin.core.dependencies",
    "plugin.core.kernel_cache",
}
RASTERS = BASE | {"plugin.core.rasters"}
COVARIATES = RASTERS | {"plugin.core.covariates"}
STATIONS = COVARIATES | {"plugin.core.stations"}
MODELS = STATIONS | {"plugin.core.models"}
REPORTS = MODELS | {"plugin.core.evaluation"}
CORE = REPORTS | {
    "plugin.core.mapping",
    "plugin.core.evaluation.reports",
    "plugin.core.synthetic",
}
ALLOWED = {
    "": {"plugin.main", "processing_provider", "ui"},
    "plugin.main": CORE,
    "processing_provider": CORE,
    "ui": CORE,
    "plugin": set(),
    "plugin.core": set(),
    "plugin.core.errors": set(),
    "plugin.core.progress": {"plugin.core.errors"},
    "plugin.core.dependencies": {"plugin.core.errors"},
    "plugin.core.kernel_cache": set(),
    "plugin.core.rasters": BASE,
    "plugin.core.covariates": RASTERS,
    "plugin.core.stations": COVARIATES,
    "plugin.core.models": STATIONS,
    "plugin.core.mapping": MODELS,
    "plugin.core.evaluation": MODELS,
    "plugin.core.evaluation.reports": REPORTS,  # figures speak of scores, never the reverse
    "plugin.core.synthetic": MODELS,  # nothing else in the core knows the landscape
}

CORE_PACKAGES = {"numpy", "scipy", "sklearn", "joblib", "matplotlib", "affine", "numba"}
RASTER_PACKAGES = {"rasterio"}
SHELL_PACKAGES = {"numpy", "qgis", "osgeo", "processing"}
SLOW_PACKAGES = {"scipy", "sklearn", "joblib", "matplotlib", "rasterio", "affine", "numba"}
NEVER = {"pickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "multiprocessing"}


@dataclass(frozen=True)
class Import:
    """One import: where, of what (a dotted name; own modules as own=True), when it runs."""

    module: str
    line: int
    target: str
    own: bool
    lazy: bool


@dataclass(frozen=True)
class Source:
    """All shipped modules of a plugin folder."""

    trees: dict[str, ast.Module]  # module name, "" = the root package
    packages: frozenset[str]

    @classmethod
    def of(cls, folder: Path) -> Source:
        """Read the folder's own `__init__.py` and the shipped packages."""
        paths = [folder / "__init__.py"]
        for part in SHIPPED:
            paths += sorted((folder / part).rglob("*.py"))
        trees, packages = {}, set()
        for path in paths:
            parts = path.relative_to(folder).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
                packages.add(".".join(parts))
            trees[".".join(parts)] = ast.parse(path.read_text("utf-8"), str(path))
        return cls(trees, frozenset(packages))

    def imports(self) -> Iterator[Import]:
        """Yield each import of each module, those inside functions too."""
        for module, tree in self.trees.items():
            for node, lazy in _statements(tree):
                if isinstance(node, ast.Import):
                    for alias in node.names:
                        yield Import(module, node.lineno, alias.name, False, lazy)
                elif isinstance(node, ast.ImportFrom):
                    yield from self._from(module, node, lazy)

    def _from(self, module: str, node: ast.ImportFrom, lazy: bool) -> Iterator[Import]:
        if not node.level:
            for alias in node.names:
                target = f"{node.module}.{alias.name}"
                yield Import(module, node.lineno, target, False, lazy)
            return
        parts = module.split(".") if module else []
        if module not in self.packages:
            parts = parts[:-1]
        parts = parts[: len(parts) - (node.level - 1)]
        start = ".".join([*parts, *(node.module or "").split(".")]).strip(".")
        for alias in node.names:
            inner = f"{start}.{alias.name}".strip(".")
            yield Import(module, node.lineno, inner if inner in self.trees else start, True, lazy)


def _statements(tree: ast.Module) -> Iterator[tuple[ast.stmt, bool]]:
    """Yield imports with whether they run late: in a function, or for type checkers only."""
    pending: list[tuple[ast.AST, bool]] = [(tree, False)]
    while pending:
        node, lazy = pending.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node, lazy
            continue
        late = lazy or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            late = True
        pending += [(child, late) for child in ast.iter_child_nodes(node)]


def part_of(module: str) -> str:
    """Return the part of the house a module belongs to."""
    if module.startswith("plugin.core.synthetic"):  # the landscape takes several files
        return "plugin.core.synthetic"
    fits = [part for part in ALLOWED if part and f"{module}.".startswith(f"{part}.")]
    return max(fits, key=len, default="")


def wrong_directions(source: Source) -> list[str]:
    """Own imports that go against the direction of dependencies."""
    breaches = []
    for item in source.imports():
        start, end = part_of(item.module), part_of(item.target)
        if item.own and start != end and end not in ALLOWED[start]:
            breaches.append(f"{item.module}:{item.line} imports {item.target}")
    return breaches


def missing_modules(source: Source) -> list[str]:
    """Own imports of modules that do not exist."""
    return [
        f"{item.module}:{item.line} imports {item.target}"
        for item in source.imports()
        if item.own and item.target not in source.trees
    ]


def circles(source: Source) -> list[str]:
    """Modules that import each other, directly or through others."""
    graph: dict[str, set[str]] = {module: set() for module in source.trees}
    for item in source.imports():
        if item.own and item.target in graph and item.target != item.module:
            graph[item.module].add(item.target)
    while True:  # what imports none of the rest, or is imported by none of it, is in no circle
        imported = set().union(*graph.values())
        ends = {m for m, targets in graph.items() if not targets or m not in imported}
        if not ends:
            return sorted(graph)
        graph = {m: targets - ends for m, targets in graph.items() if m not in ends}


def foreign_packages(source: Source) -> list[str]:
    """Imports of packages that have no place where they stand."""
    own = {*SHIPPED, "soil_moisture_mapper", "tests", "scripts", "benchmarks", "resources"}
    breaches = []
    for item in source.imports():
        package = item.target.split(".")[0]
        if item.own or (package in sys.stdlib_module_names and package not in NEVER):
            continue
        part = part_of(item.module)
        if part.startswith("plugin.core"):
            allowed = CORE_PACKAGES
            if part == "plugin.core.rasters":
                allowed = CORE_PACKAGES | RASTER_PACKAGES
        else:
            allowed = SHELL_PACKAGES
        if package in own or package not in allowed:
            breaches.append(f"{item.module}:{item.line} imports {item.target}")
    return breaches


def slow_starts(source: Source) -> list[str]:
    """Heavy packages that are loaded as soon as QGIS loads the plugin."""
    early: dict[str, list[Import]] = {}
    for item in source.imports():
        if not item.lazy:
            early.setdefault(item.module, []).append(item)
    seen = {m for m in source.trees if not part_of(m).startswith("plugin.core")}
    pending, breaches = list(seen), []
    while pending:
        for item in early.get(pending.pop(), []):
            if item.own and item.target not in seen:
                seen.add(item.target)
                pending.append(item.target)
            elif not item.own and item.target.split(".")[0] in SLOW_PACKAGES:
                breaches.append(f"{item.module}:{item.line} imports {item.target}")
    return breaches


def unsafe_code(source: Source) -> list[str]:
    """Code that runs data, starts processes, or hides an error."""
    breaches = []
    for module, tree in source.trees.items():
        for node in ast.walk(tree):
            reason = _unsafe(node)
            if reason:
                breaches.append(f"{module}:{node.lineno} {reason}")
    return breaches


def _unsafe(node: ast.AST) -> str:
    if isinstance(node, ast.Assert):
        return "assert"
    if isinstance(node, ast.ExceptHandler) and all(isinstance(n, ast.Pass) for n in node.body):
        return "except: pass"
    if isinstance(node, (ast.Attribute, ast.alias)):
        name = node.attr if isinstance(node, ast.Attribute) else node.name
        return name if name.split(".")[-1] in {"ProcessPoolExecutor", "pyplot"} else ""
    if isinstance(node, ast.Call):
        return _unsafe_call(node)
    return ""


def _unsafe_call(node: ast.Call) -> str:
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    name = ast.unparse(node.func)
    if name in {"exec", "eval", "compile", "__import__", "joblib.dump", "joblib.load"}:
        return name
    if name in {"np.load", "numpy.load", "np.lib.format.read_array"} and (
        "allow_pickle" not in keywords or ast.unparse(keywords["allow_pickle"]) != "False"
    ):
        return f"{name} without allow_pickle=False"
    threads = {"'threading'"}
    if name.split(".")[-1] in {"Parallel", "parallel_config"} and (
        "backend" not in keywords or ast.unparse(keywords["backend"]) not in threads
    ):
        return f'{name} without backend="threading"'
    return ""


RULES = (
    wrong_directions,
    missing_modules,
    circles,
    foreign_packages,
    slow_starts,
    unsafe_code,
)


@pytest.fixture(scope="module")
def source(root: Path) -> Source:
    """The shipped modules."""
    return Source.of(root)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_holds(source: Source, rule: Callable[[Source], list[str]]) -> None:
    assert rule(source) == []


def test_every_module_is_read(root: Path, source: Source) -> None:
    paths = [path.relative_to(root).with_suffix("") for path in (root / "plugin").rglob("*.py")]
    names = {".".join(path.parts).removesuffix(".__init__") for path in paths}
    assert names <= set(source.trees)
    assert sum(item.own for item in source.imports()) > 20


@pytest.mark.parametrize(
    ("rule", "path", "text", "breach"),
    [
        (
            wrong_directions,
            "plugin/core/rasters/a.py",
            "from ..models import b",
            "plugin.core.rasters.a:1 imports plugin.core.models.b",
        ),
        (
            wrong_directions,
            "plugin/core/covariates/a.py",
            "def f():\n    from ..stations.b import c",
            "plugin.core.covariates.a:2 imports plugin.core.stations.b",
        ),
        (
            wrong_directions,
            "plugin/core/errors.py",
            "from . import progress",
            "plugin.core.errors:1 imports plugin.core.progress",
        ),
        (
            wrong_directions,
            "plugin/core/models/a.py",
            "from ....ui import b",
            "plugin.core.models.a:1 imports ui.b",
        ),
        (
            wrong_directions,
            "ui/a.py",
            "from ..processing_provider import b",
            "ui.a:1 imports processing_provider.b",
        ),
        (missing_modules, "ui/a.py", "from .z import b", "ui.a:1 imports ui.z"),
        (
            foreign_packages,
            "plugin/core/models/a.py",
            "import qgis.core",
            "plugin.core.models.a:1 imports qgis.core",
        ),
        (
            foreign_packages,
            "plugin/core/models/a.py",
            "from osgeo import gdal",
            "plugin.core.models.a:1 imports osgeo.gdal",
        ),
        (
            foreign_packages,
            "plugin/core/mapping/a.py",
            "import rasterio",
            "plugin.core.mapping.a:1 imports rasterio",
        ),
        (foreign_packages, "ui/a.py", "import pandas", "ui.a:1 imports pandas"),
        (foreign_packages, "ui/a.py", "import PyQt5.QtCore", "ui.a:1 imports PyQt5.QtCore"),
        (foreign_packages, "ui/a.py", "import pickle", "ui.a:1 imports pickle"),
        (
            foreign_packages,
            "ui/a.py",
            "from multiprocessing import Pool",
            "ui.a:1 imports multiprocessing.Pool",
        ),
        (
            foreign_packages,
            "ui/a.py",
            "from plugin.core import errors",
            "ui.a:1 imports plugin.core.errors",
        ),
        (
            foreign_packages,
            "ui/a.py",
            "import soil_moisture_mapper",
            "ui.a:1 imports soil_moisture_mapper",
        ),
        (slow_starts, "ui/a.py", "import sklearn", "ui.a:1 imports sklearn"),
        (
            slow_starts,
            "plugin/core/progress.py",
            "import scipy.stats",
            "plugin.core.progress:1 imports scipy.stats",
        ),
        (unsafe_code, "ui/a.py", "x = 1\neval('x')", "ui.a:2 eval"),
        (unsafe_code, "ui/a.py", "assert True", "ui.a:1 assert"),
        (unsafe_code, "ui/a.py", "try:\n    f()\nexcept OSError:\n    pass", "ui.a:3 except: pass"),
        (unsafe_code, "ui/a.py", "np.load(f)", "ui.a:1 np.load without allow_pickle=False"),
        (
            unsafe_code,
            "ui/a.py",
            "np.load(f, allow_pickle=True)",
            "ui.a:1 np.load without allow_pickle=False",
        ),
        (unsafe_code, "ui/a.py", "Parallel(2)", 'ui.a:1 Parallel without backend="threading"'),
        (unsafe_code, "ui/a.py", "import matplotlib.pyplot", "ui.a:1 matplotlib.pyplot"),
        (
            unsafe_code,
            "ui/a.py",
            "from concurrent.futures import ProcessPoolExecutor",
            "ui.a:1 ProcessPoolExecutor",
        ),
    ],
)
def test_a_breach_is_found(
    tmp_path: Path, rule: Callable[[Source], list[str]], path: str, text: str, breach: str
) -> None:
    _house(tmp_path)
    assert rule(Source.of(tmp_path)) == []
    (tmp_path / path).write_text(text, "utf-8")
    assert rule(Source.of(tmp_path)) == [breach]


def test_a_circle_is_found(tmp_path: Path) -> None:
    _house(tmp_path)
    models = tmp_path / "plugin/core/models"
    texts = {
        "p": "from .q import f",
        "q": "from . import r",
        "r": "from .p import g",
        "s": "from .p import g",
    }
    for name, text in texts.items():
        (models / f"{name}.py").write_text(text, "utf-8")
    assert circles(Source.of(tmp_path)) == [f"plugin.core.models.{name}" for name in "pqr"]


def _house(folder: Path) -> None:
    """Write a small tree that keeps every rule."""
    files = {
        "__init__.py": "def classFactory(iface):\n    from .plugin.main import Plugin\n",
        "plugin/main.py": "from qgis.core import Qgis\nfrom .core.errors import E\n",
        "plugin/core/errors.py": "",
        "plugin/core/progress.py": "from .errors import E\n",
        "plugin/core/rasters/a.py": "import rasterio\nfrom ..progress import P\n",
        "plugin/core/covariates/b.py": "from ..rasters.a import f\n",
        "plugin/core/stations/b.py": "from ..covariates.b import f\n",
        "plugin/core/models/b.py": "import sklearn\nfrom ..stations import b\n",
        "plugin/core/mapping/b.py": "from ..models.b import f\n",
        "processing_provider/b.py": "def f():\n    from ..plugin.core.mapping.b import g\n",
        "ui/a.py": "",
        "ui/b.py": "from . import a\nfrom ..plugin.core import progress\ndialog.exec()\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    for path in {parent for name in files for parent in (folder / name).parents}:
        if folder in path.parents:
            (path / "__init__.py").touch()
