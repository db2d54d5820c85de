"""Make the clone importable as `soil_moisture_mapper`, whatever its folder is called.

The plugin's imports are relative, and a folder's name need not be a Python name: tests, benchmarks
and scripts call `register` before they import from the plugin.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ALIAS = "soil_moisture_mapper"


def register() -> Path:
    """Register the clone under its plugin name; return its folder."""
    if ALIAS not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            ALIAS, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules[ALIAS] = module
        spec.loader.exec_module(module)
    return ROOT
