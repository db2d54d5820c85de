"""A zip of one JSON document and plain arrays, written the same way everywhere, read warily."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelFileError
from ..rasters.writing import atomic_path

DOCUMENT = "model.json"
DTYPES = ("|u1", "<u2", "<i4", "<f4", "<f8")
"""Types an array may have in the file: little-endian, no objects, no text."""

_SUFFIX = ".npy"
_STAMP = (1980, 1, 1, 0, 0, 0)
_DOCUMENT_LIMIT = 64 * 2**20
_ALLOWANCE = 64 * 2**20  # bytes any file may unpack to
_RATIO = 100  # and for larger ones how many times their size
_MEMBERS = 1000
_DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    OverflowError,
)


def write_archive(
    path: Path, document: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Write `document` and `arrays` to `path` in one step; the same content gives the same bytes.

    The document gets an entry ``arrays`` with type, shape and SHA-256 of each ``.npy`` file.

    Raises
    ------
    InputError
        A folder that cannot be written.
    """
    members = {name: _npy_bytes(array) for name, array in arrays.items()}
    listed = {
        name: {
            "dtype": array.dtype.str,
            "shape": list(array.shape),
            "sha256": hashlib.sha256(members[name]).hexdigest(),
        }
        for name, array in arrays.items()
    }
    text = json.dumps({**document, "arrays": listed}, allow_nan=False, indent=1)
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive,
    ):
        _write_member(archive, DOCUMENT, text.encode("utf-8"))
        for name, content in members.items():
            _write_member(archive, name + _SUFFIX, content)


def read_archive(path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the document of a zip, and the bytes of each array by its name.

    Raises
    ------
    ModelFileError
        A file that is missing, no zip, damaged, or larger inside than it may be.
    """
    if not path.is_file():
        raise ModelFileError(f"There is no model file '{path}'.", "Check the path.")
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = _member_sizes(archive, path)
            members = {name: _read_member(archive, name, size) for name, size in sizes.items()}
        document = _parse(members.pop(DOCUMENT))
    except PermissionError:
        raise ModelFileError(
            f"The model file '{path}' may not be read.", "Check its rights."
        ) from None
    except RecursionError:
        raise damaged(path, "its document is nested too deeply") from None
    except _DAMAGES as error:
        raise damaged(path, str(error) or type(error).__name__) from error
    return document, {name[: -len(_SUFFIX)]: content for name, content in members.items()}


def read_array(path: Path, name: str, content: bytes, listed: Any) -> np.ndarray:
    """Return an array after comparing it with its entry in the document.

    Raises
    ------
    ModelFileError
        An array whose checksum, type, shape or length differs, or whose type is not allowed.
    """
    if not isinstance(listed, dict) or not isinstance(listed.get("shape"), list):
        raise damaged(path, f"the array '{name}' is not listed")
    if hashlib.sha256(content).hexdigest() != listed.get("sha256"):
        raise damaged(path, f"the checksum of the array '{name}' is wrong")
    stream = io.BytesIO(content)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("unknown version of the .npy format")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
    except _DAMAGES as error:
        raise damaged(path, f"the array '{name}' has no valid header") from error
    expected = (listed.get("dtype"), tuple(listed["shape"]))
    if (dtype.str, shape) != expected or by_columns or dtype.str not in DTYPES:
        raise damaged(path, f"the array '{name}' is of another type or shape than listed")
    start = stream.tell()
    if len(content) - start != int(np.prod(shape, dtype=object)) * dtype.itemsize:
        raise damaged(path, f"the array '{name}' is not of the length it states")
    return np.frombuffer(content, dtype=dtype, offset=start).reshape(shape)


def damaged(path: Path, what: str) -> ModelFileError:
    """Return the error of a model file that cannot be trusted."""
    return ModelFileError(
        f"The model file '{path.name}' is damaged or not a model of this plugin: {what}.",
        "Fetch or train it again.",
    )


def _npy_bytes(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(
        stream, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False
    )
    return stream.getvalue()


def _write_member(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, _STAMP)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = 0o644 << 16
    archive.writestr(info, content)


def _member_sizes(archive: zipfile.ZipFile, path: Path) -> dict[str, int]:
    """Return the size of each member, once names, number, packing and sizes are acceptable."""
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if DOCUMENT not in names:
        raise damaged(path, f"it holds no {DOCUMENT}")
    if len(set(names)) < len(names) or len(names) > _MEMBERS:
        raise damaged(path, "it holds a member twice, or too many")
    for entry in entries:
        if entry.filename != DOCUMENT and not entry.filename.endswith(_SUFFIX):
            raise damaged(path, f"it holds '{entry.filename[:80]}'")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise damaged(path, f"'{entry.filename[:80]}' is packed in an unknown way")
    sizes = {entry.filename: entry.file_size for entry in entries}
    allowed = max(_ALLOWANCE, _RATIO * path.stat().st_size)
    if sizes[DOCUMENT] > _DOCUMENT_LIMIT or sum(sizes.values()) > allowed:
        raise damaged(path, "it would unpack to far more than a model holds")
    return sizes


def _read_member(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    with archive.open(name) as member:
        content = member.read(size + 1)  # bounded, whatever the packed stream holds
    if len(content) != size:
        raise ValueError(f"'{name}' is not of the length it states")
    return content


def _parse(content: bytes) -> dict[str, Any]:
    document = json.loads(content.decode("utf-8"), parse_constant=_refuse)
    if not isinstance(document, dict):
        raise ValueError(f"{DOCUMENT} holds no record")
    return document


def _refuse(name: str) -> None:
    raise ValueError(f"{DOCUMENT} holds the number {name}")
