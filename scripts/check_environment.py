"""Proves that what was installed works together, and prints the versions.

pip may replace a package that QGIS's own libraries were built against; the damage shows only in
use, so each library is used once here, in one process, as inside QGIS.
"""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version

PACKAGES = ("numpy", "scipy", "scikit-learn", "rasterio", "joblib", "matplotlib", "attrs", "affine")


def check_gdal() -> str:
    """GDAL's bindings hand arrays to and from this NumPy."""
    import numpy as np
    from osgeo import gdal, gdal_array

    gdal.UseExceptions()
    values = np.arange(6, dtype="float32").reshape(2, 3)
    dataset = gdal_array.OpenArray(values)
    if not (dataset.ReadAsArray() == values).all():
        raise RuntimeError("GDAL's Python bindings return other numbers than were given")
    return gdal.__version__


def check_qgis() -> str:
    """QGIS's Python bindings load."""
    from qgis.core import Qgis

    return Qgis.version()


def check_rasterio() -> str:
    """rasterio finds its PROJ database, warps points and reads bounds (affine needs new attrs)."""
    import numpy as np
    import rasterio
    from rasterio.io import MemoryFile
    from rasterio.warp import transform

    (x,), _ = transform("EPSG:4326", "EPSG:32633", [15.0], [50.0])
    if abs(x - 500000) > 1:
        raise RuntimeError(f"PROJ puts longitude 15 at x = {x} in UTM zone 33, not at 500000")
    profile = {
        "driver": "GTiff",
        "width": 3,
        "height": 2,
        "count": 1,
        "dtype": "float32",
        "crs": "EPSG:32633",
        "transform": rasterio.Affine(10, 0, 500000, 0, -10, 5500000),
    }
    with MemoryFile() as memory:
        with memory.open(**profile) as dataset:
            dataset.write(np.ones((1, 2, 3), "float32"))
        with memory.open() as dataset:
            if tuple(dataset.bounds) != (500000, 5499980, 500030, 5500000):
                raise RuntimeError(f"rasterio gives wrong bounds: {dataset.bounds}")
    return rasterio.__gdal_version__


def check_forest() -> None:
    """scikit-learn grows a tree with this NumPy and SciPy."""
    import numpy as np
    from sklearn.tree import DecisionTreeRegressor

    x = np.linspace(0, 1, 20, dtype="float32")[:, None]
    if DecisionTreeRegressor(max_depth=1).fit(x, x[:, 0] > 0.5).predict([[0.9]]) != 1:
        raise RuntimeError("scikit-learn's tree predicts nonsense")


def main() -> int:
    """Run all checks; the exit code says whether they hold."""
    qgis, gdal, rasterio_gdal = check_qgis(), check_gdal(), check_rasterio()
    check_forest()
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    print(f"setup: QGIS {qgis}, GDAL {gdal}, Python {platform.python_version()}, {packages}")
    print(f"setup: rasterio's own GDAL {rasterio_gdal}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
