"""Starts the benchmarks from any folder, whatever the clone is called; see run.sh."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import clone_package

clone_package.register()

from soil_moisture_mapper.benchmarks import command

if __name__ == "__main__":
    sys.exit(command.main(sys.argv[1:]))
