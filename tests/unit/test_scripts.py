"""`scripts/env.sh` runs a command as if nothing but the environment had changed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SHOW = """
import json, os, sys
print(json.dumps({"cwd": os.getcwd(), "python": sys.executable, "in": sys.stdin.read(),
                  "env": dict(os.environ), "args": sys.argv[1:]}))
"""


@pytest.fixture
def run(root: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command through the script, from another folder and with a bare environment."""
    if not (root / ".env" / "stamp").is_file():
        pytest.skip("the environment of this clone is not installed")

    def run_command(*command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(root / "scripts" / "env.sh"), *command],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path / "home"), **more},
            input="question",
            capture_output=True,
            text=True,
        )

    return run_command


def test_command_keeps_folder_streams_and_arguments(run: Callable, tmp_path: Path) -> None:
    result = run("python", "-c", SHOW, "ä b", "*")
    assert result.returncode == 0, result.stderr
    seen = json.loads(result.stdout)
    assert seen["cwd"] == str(tmp_path.resolve())
    assert seen["in"] == "question"
    assert seen["args"] == ["ä b", "*"]
    assert list(tmp_path.iterdir()) == []


def test_everything_is_kept_below_the_clone(run: Callable, root: Path) -> None:
    seen = json.loads(run("python", "-c", SHOW).stdout)
    below = root / ".env"
    assert Path(seen["python"]) == below / "venv" / "bin" / "python"
    assert Path(seen["env"]["PYTHONPATH"]).is_relative_to(below / "venv" / "lib")
    assert seen["env"]["QT_QPA_PLATFORM"] == "offscreen"
    for name in ("QGIS_CUSTOM_CONFIG_PATH", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        assert Path(seen["env"][name]).is_relative_to(below / "profile")
    for name in ("XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "TMPDIR"):
        assert Path(seen["env"][name]).is_relative_to(below)
    plugins = below / "profile" / "profiles" / "default" / "python" / "plugins"
    assert (plugins / "soil_moisture_mapper").resolve() == root


@pytest.mark.parametrize("code", [0, 1, 77])
def test_exit_code_is_passed_on(run: Callable, code: int) -> None:
    assert run("python", "-c", f"raise SystemExit({code})").returncode == code


def test_utf8_is_only_set_where_it_lacks(run: Callable) -> None:
    assert json.loads(run("python", "-c", SHOW).stdout)["env"]["LC_ALL"] == "C.UTF-8"
    given = json.loads(run("python", "-c", SHOW, LANG="C.utf8").stdout)["env"]
    assert "LC_ALL" not in given


def test_usage(run: Callable) -> None:
    result = run()
    assert result.returncode == 2
    assert result.stdout == ""
    assert "usage" in result.stderr


def test_summary_of_the_tests_names_an_unknown_step(root: Path, run: Callable) -> None:
    result = run("bash", str(root / "scripts" / "test.sh"), "nonsense")
    assert result.returncode == 1
    assert "no step nonsense" in result.stdout


def test_installed_packages_work_together(root: Path, run: Callable) -> None:
    result = run("python", str(root / "scripts" / "check_environment.py"))
    assert result.returncode == 0, result.stderr
    assert "QGIS 3." in result.stdout
