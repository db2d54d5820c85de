"""Writes the zip that plugins.qgis.org and "Install from ZIP" take.

    python3 scripts/package_plugin.py [FOLDER]

The zip holds one folder, soil_moisture_mapper, with what runs and nothing else; the same commit
gives the same bytes.
"""

from __future__ import annotations

import configparser
import subprocess
import sys
import zipfile
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOP = "soil_moisture_mapper"
SHIPPED = (
    "__init__.py",
    "metadata.txt",
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "CITATION.cff",
    "requirements.txt",
    "plugin",
    "processing_provider",
    "resources",
    "ui",
)


def git(*arguments: str) -> str:
    """Return what git prints in the clone."""
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def shipped_files() -> list[Path]:
    """Return the committed files that are shipped, relative to the clone and in order."""
    names = git("ls-files", "-z", "--", *SHIPPED).split("\0")
    return sorted(Path(name) for name in names if name)


def plugin_version() -> str:
    """Return the version in metadata.txt."""
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(ROOT / "metadata.txt", encoding="utf-8")
    return metadata["general"]["version"]


def write_package(folder: Path) -> Path:
    """Write the zip into a folder and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    package = folder / f"{TOP}-{plugin_version()}.zip"
    committed = datetime.fromtimestamp(int(git("log", "-1", "--format=%ct")), timezone.utc)
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in shipped_files():
            entry = zipfile.ZipInfo(f"{TOP}/{name.as_posix()}", committed.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, (ROOT / name).read_bytes())
    return package


def main() -> int:
    """Write the package and name it."""
    changed = git("status", "--porcelain", "--", *SHIPPED)
    if changed:
        print(
            f"package: not committed, shipped as it stands or left out:\n{changed}", file=sys.stderr
        )
    package = write_package(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist")
    print(f"{package} ({package.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
