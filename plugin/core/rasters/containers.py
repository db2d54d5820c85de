"""Files that hold many arrays (HDF5, NetCDF): which there are, opened one by one.

GDAL addresses an array by a driver prefix, the file and the array's name. Users never hand over
such a text: a file is checked to be local first, and the text is built here.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from ..dependencies import REQUIRED, install_hint
from ..errors import MissingPackageError, RasterError
from .grids import GDAL_ERRORS, Window
from .paths import check_local_path
from .reading import has_declared_nodata, has_mask, nodata_value, scale_and_offset

HDF5, NETCDF = "HDF5", "netCDF"
_SIGNATURES = {
    HDF5: (b"\x89HDF\r\n\x1a\n",),
    NETCDF: (b"CDF\x01", b"CDF\x02", b"CDF\x05", b"\x89HDF\r\n\x1a\n"),
}
_TITLES = {HDF5: "an HDF5 file", NETCDF: "a NetCDF file"}
_SENTINELS = (-9999.0, -32768.0)  # written for "no value" where none is declared
_HUGE = 3.39e38


def require_driver(driver: str) -> None:
    """Raise where GDAL, as rasterio brings it, cannot read a kind of container.

    Raises
    ------
    MissingPackageError
        Says what to install.
    """
    with rasterio.Env() as environment:
        if driver in environment.drivers():
            return
    package = next(package for package in REQUIRED if package.module == "rasterio")
    raise MissingPackageError(
        f"The rasterio of this QGIS was built without {driver}, so it cannot read such files.",
        f"The wheels of rasterio on PyPI have it (conda: libgdal-{driver.lower()}). "
        f"{install_hint([package])}",
    )


def open_container(path: str | Path, driver: str) -> Any:
    """Open a container as a whole: its attributes, and the names of its arrays.

    Raises
    ------
    MissingPackageError
        Where GDAL lacks the driver.
    RasterError
        For a file of another kind, or one that is damaged or cut short.
    """
    local = _checked(path, driver)
    return _open(str(local), driver, local)


def open_array(path: str | Path, driver: str, array: str) -> Any:
    """Open one array of a container.

    Parameters
    ----------
    path : str or Path
        A local file.
    driver : {"HDF5", "netCDF"}
    array : str
        Its name, for HDF5 with its groups: ``group/array``.

    Raises
    ------
    RasterError
        Also where the container has no such array.
    """
    local = _checked(path, driver)
    if driver == HDF5:
        return _open(f'HDF5:"{local}"://{array}', "HDF5Image", local)
    return _open(f'NETCDF:"{local}":{array}', NETCDF, local)


def array_names(container: Any) -> list[str]:
    """Return the names of a container's arrays of two or more dimensions.

    GDAL does not name an array that is the only one of an HDF5 file; see `has_array`.
    """
    found = []
    for text in container.subdatasets:
        tail = text.rpartition("://")[2] if "://" in text else text.rpartition(":")[2]
        found.append(tail.strip("/"))
    if not found and container.count:
        found = (
            [container.tags(1)["NETCDF_VARNAME"]] if "NETCDF_VARNAME" in container.tags(1) else []
        )
    return found


def has_array(path: str | Path, driver: str, array: str) -> bool:
    """Whether a container has an array of a name."""
    try:
        with open_array(path, driver, array):
            return True
    except RasterError:
        return False


def read_values(dataset: Any, bands: list[int], window: Window) -> np.ndarray:
    """Read bands of an open array as float64, shape (bands, rows, columns), NaN missing.

    Scale and offset are applied. Missing are declared nodata, NaN and infinite values; without
    declared nodata also −9999, −32768 and ±3.4e38.
    """
    place = rasterio.windows.Window(window.col, window.row, window.width, window.height)
    try:
        raw = dataset.read(bands, window=place).astype(np.float64)
        masks = [
            dataset.read_masks(band, window=place) if has_mask(dataset, band) else None
            for band in bands
        ]
    except GDAL_ERRORS as error:
        raise RasterError(
            f"'{dataset.name}' cannot be read ({error}).",
            "The file may be damaged or cut short: download it again.",
        ) from error
    for values, band, mask in zip(raw, bands, masks):
        missing = ~np.isfinite(values)
        if has_declared_nodata(dataset, band):
            missing |= values == nodata_value(dataset, band)
        else:
            missing |= np.isin(values, _SENTINELS) | (np.abs(values) >= _HUGE)
        if mask is not None:
            missing |= mask == 0
        values[missing] = np.nan
        scale, offset = scale_and_offset(dataset, band)
        if (scale, offset) != (1.0, 0.0):
            values *= scale
            values += offset
    return raw


def _checked(path: str | Path, driver: str) -> Path:
    local = check_local_path(path)
    if '"' in str(local):
        raise RasterError(
            f"'{local}' has a quotation mark in its name or folder.", "Rename it without."
        )
    require_driver(driver)
    try:
        with local.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise RasterError(f"'{local}' cannot be read ({error}).", "Check its rights.") from error
    if not start.startswith(_SIGNATURES[driver]):
        raise RasterError(
            f"'{local}' is not {_TITLES[driver]}{' but empty' if not start else ''}.",
            "The download may have failed (a web page saved under the name): download it again.",
        )
    return local


def _open(name: str, driver: str, local: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # Known: the georeference comes from elsewhere.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(name, driver=driver)
    except GDAL_ERRORS as error:
        raise RasterError(
            f"'{local}' cannot be opened as {_TITLES[HDF5 if 'HDF5' in driver else NETCDF]} "
            f"({error}).",
            "It may be damaged or cut short: download it again.",
        ) from error
