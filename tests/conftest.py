"""The clone and what tests share, importable; the places tests read from."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parent / "support"))

import clone_package

ROOT = clone_package.register()

settings.register_profile("unhurried", deadline=None)  # others may have the processor
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def root() -> Path:
    """The clone."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data kept outside the project; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("SOIL_MOISTURE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the real data sets are not on this machine")
    return folder
