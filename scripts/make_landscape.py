"""Make the synthetic landscape anew: the shipped one, or a larger one for benchmarks.

Run it in the plugin's environment:

    bash scripts/env.sh python scripts/make_landscape.py
    bash scripts/env.sh python scripts/make_landscape.py --folder output/large --field 1000
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from clone_package import ROOT, register

SHIPPED = ROOT / "resources" / "landscape"


def main() -> None:
    """Read the arguments, make the landscape and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=SHIPPED)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--field", type=int, help="cells of the field from west to east")
    parser.add_argument("--stations", type=int, default=120)
    parser.add_argument("--probes", type=int, default=60)
    given = parser.parse_args()

    register()
    from soil_moisture_mapper.plugin.core.synthetic import LandscapeSettings, make_landscape
    from soil_moisture_mapper.plugin.core.synthetic_files import write_landscape

    columns = given.field or LandscapeSettings.field_columns
    settings = LandscapeSettings(
        seed=given.seed,
        field_columns=columns,
        field_rows=round(columns * 0.8),
        stations=given.stations,
        probes=given.probes,
    )
    for name in ("region", "field", "coarse", "truth"):
        shutil.rmtree(given.folder / name, ignore_errors=True)
    write_landscape(make_landscape(settings), given.folder)
    files = [path for path in given.folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    sys.stdout.write(f"{given.folder}: {len(files)} files, {size:.2f} MB\n")


if __name__ == "__main__":
    main()
