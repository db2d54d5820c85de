"""Which paths may reach GDAL: those of existing local files, and nothing it would follow."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from ..errors import RasterError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_DRIVER_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_+.\-]+:")
_SOURCE = re.compile(r"<Source(?:Filename|Dataset)([^>]*)>(.*?)</Source(?:Filename|Dataset)>", re.S)
_DEEPEST = 8  # virtual rasters within virtual rasters


def refuse_remote(text: str) -> str:
    """Return the text of a path, refusing what is not a plain path.

    GDAL follows URLs, its virtual file systems, driver prefixes and inline XML; none of them is
    ever handed to it.

    Raises
    ------
    RasterError
        For URLs, ``/vsi…``, driver prefixes such as ``NETCDF:`` and inline XML.
    """
    stripped = str(text).strip()
    shown = stripped[:120]
    slashes = stripped.replace("\\", "/")
    if not stripped:
        raise RasterError("A raster path is empty.", "Name an existing local file.")
    if stripped.startswith("<"):
        kind = "inline XML"
    elif slashes.lower().startswith("/vsi"):
        kind = "a GDAL virtual file"
    elif _URL.match(stripped):
        kind = "a URL"
    elif _DRIVER_PREFIX.match(stripped):
        kind = "a GDAL driver prefix"
    elif "\0" in stripped or "\n" in stripped:
        kind = "not a path"
    else:
        return str(text)
    raise RasterError(
        f"'{shown}' is refused: it is {kind}, not a local file.",
        "Download or convert the raster to a GeoTIFF and give its path.",
    )


def check_local_path(path: str | Path) -> Path:
    """Return the absolute path of an existing local file.

    Raises
    ------
    RasterError
        For URLs, ``/vsi…``, driver prefixes, inline XML, and files that are not there.
    """
    local = Path(refuse_remote(str(path)))
    try:
        absolute = local.absolute()
        there = absolute.is_file()
    except (OSError, ValueError) as error:
        raise RasterError(f"'{path}' cannot be read ({error}).", "Check the path.") from error
    if not there:
        raise RasterError(
            f"The raster file '{path}' does not exist.",
            "Check the path; a relative one counts from the folder of the table that names it.",
        )
    return absolute


def refuse_remote_sources(path: Path, depth: int = 0) -> None:
    """Refuse a raster file that is XML and leads GDAL anywhere but to local files.

    A virtual raster (``.vrt``) of local files is fine: it is how tiles are mosaicked.

    Raises
    ------
    RasterError
        For descriptions of web services, and for virtual rasters with sources that
        `refuse_remote` refuses.
    """
    try:
        with path.open("rb") as file:
            start = file.read(256).lstrip(b"\xef\xbb\xbf \t\r\n")
        if not start.startswith(b"<"):
            return
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return  # GDAL will say why it cannot be read
    if "<VRTDataset" not in text[:4096] or depth > _DEEPEST:
        raise RasterError(
            f"'{path}' is refused: it describes a service or a chain of files, not a raster.",
            "Save the raster as a GeoTIFF.",
        )
    for attributes, content in _SOURCE.findall(text):
        source = refuse_remote(unescape(content))
        relative = re.search(r"""relativeToVRT\s*=\s*["']1""", attributes, re.I)
        below = path.parent / source if relative else Path(source)
        if below.is_file():
            refuse_remote_sources(below, depth + 1)
