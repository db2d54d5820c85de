"""The files of an ISMN download: a folder, a zip archive, zip archives within either.

Nothing is unpacked under a name from an archive, so names that point elsewhere do no harm.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from ...errors import InputError
from ...progress import Progress

DATA_ENDING = ".stm"
STATIC_ENDING = "_static_variables.csv"

_IN_MEMORY = 32 * 2**20
_CHUNK = 2**20
_DEEPEST = 3
_LONGEST_LINE = 16 * 2**20
_DAMAGED = (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, EOFError, OSError)


@dataclass(frozen=True)
class Member:
    """A file of a download.

    Parameters
    ----------
    path : str
        Where it is, folders and archives joined by ``/``.
    size : int
        Bytes, uncompressed.
    """

    path: str
    size: int
    open_stream: Callable[[], IO[bytes]]

    @property
    def name(self) -> str:
        """File name without folders."""
        return PurePosixPath(self.path).name

    @property
    def folder(self) -> str:
        """Path without the file name."""
        return str(PurePosixPath(self.path).parent)

    def blocks(self, size: int) -> Iterator[bytes]:
        """Yield the content in blocks of whole lines, of about `size` bytes.

        Raises
        ------
        InputError
            When the file is damaged, locked or gone.
        """
        try:
            with self.open_stream() as stream:
                rest = b""
                while True:
                    block = stream.read(size)
                    if not block:
                        break
                    cut = block.rfind(b"\n") + 1
                    if cut:
                        yield rest + block[:cut]
                        rest = b""
                    rest += block[cut:]
                    if len(rest) > _LONGEST_LINE:
                        raise InputError("It has no lines.")
                if rest:
                    yield rest
        except _DAMAGED as error:
            raise InputError(f"{type(error).__name__}: {error}.") from error


class IsmnArchive:
    """The data and metadata files of a download, open until the block is left.

    Parameters
    ----------
    source : Path
        A folder, a zip archive or one .stm file.

    Raises
    ------
    InputError
        When `source` does not exist or is a damaged archive.
    """

    def __init__(self, source: Path, progress: Progress) -> None:
        self._source = source
        self._progress = progress
        self._open = ExitStack()
        self.damaged: list[tuple[str, str]] = []
        """Archives within that cannot be read: path and reason."""

    def __enter__(self) -> IsmnArchive:
        return self

    def __exit__(self, *_error: object) -> None:
        self._open.close()

    def members(self) -> Iterator[Member]:
        """Yield the data and metadata files, by path within each archive."""
        if not self._source.exists():
            raise InputError(f"INPUT '{self._source}' does not exist.")
        if self._source.is_dir():
            yield from self._in_folder()
        elif zipfile.is_zipfile(self._source):
            try:
                archive = self._open.enter_context(zipfile.ZipFile(self._source))
            except _DAMAGED as error:
                raise InputError(
                    f"The archive '{self._source.name}' cannot be read: {error}."
                ) from error
            yield from self._in_zip(archive, "", 1)
        elif self._source.suffix.lower() == ".zip":
            raise InputError(
                f"'{self._source.name}' is no zip archive, or its end is missing.",
                "Download it again.",
            )
        elif _is_wanted(self._source.name):
            yield _file_member(self._source, self._source.name)

    def _in_folder(self) -> Iterator[Member]:
        for path in sorted(self._source.rglob("*")):
            self._progress.check()
            name = path.relative_to(self._source).as_posix()
            if _is_hidden(name) or not path.is_file():
                continue
            if _is_wanted(name):
                yield _file_member(path, name)
            elif name.lower().endswith(".zip"):
                yield from self._nested(_file_member(path, name), 1)

    def _in_zip(self, archive: zipfile.ZipFile, prefix: str, depth: int) -> Iterator[Member]:
        for info in sorted(archive.infolist(), key=lambda info: info.filename):
            name = info.filename.replace("\\", "/")
            if info.is_dir() or _is_hidden(name):
                continue
            member = Member(f"{prefix}{name}", info.file_size, _opener(archive, info))
            if _is_wanted(name):
                yield member
            elif name.lower().endswith(".zip") and depth < _DEEPEST:
                yield from self._nested(member, depth + 1)

    def _nested(self, member: Member, depth: int) -> Iterator[Member]:
        try:
            file = self._seekable(member)
            archive = self._open.enter_context(zipfile.ZipFile(file))
        except _DAMAGED as error:
            self.damaged.append((member.path, str(error)))
            return
        yield from self._in_zip(archive, f"{member.path}/", depth)

    def _seekable(self, member: Member) -> IO[bytes]:
        """Return an archive within as a file that can be searched: small ones in memory."""
        stream = self._open.enter_context(member.open_stream())
        if not isinstance(stream, zipfile.ZipExtFile):
            return stream
        if member.size <= _IN_MEMORY:
            copy: IO[bytes] = io.BytesIO()
        else:
            copy = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        for block in iter(lambda: stream.read(_CHUNK), b""):
            self._progress.check()
            copy.write(block)
        copy.seek(0)
        return copy


def holds_ismn(source: Path, progress: Progress) -> bool:
    """Whether a file, folder or zip archive is or holds a data file of ISMN."""
    with IsmnArchive(source, progress) as archive:
        return any(is_data(member.name) for member in archive.members())


def is_data(name: str) -> bool:
    """Whether a file of this name holds readings."""
    return name.lower().endswith(DATA_ENDING)


def _is_wanted(name: str) -> bool:
    return is_data(name) or name.lower().endswith(STATIC_ENDING)


def _is_hidden(name: str) -> bool:
    parts = [part for part in name.split("/") if part not in (".", "..")]
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _file_member(path: Path, name: str) -> Member:
    return Member(name, path.stat().st_size, lambda: path.open("rb"))


def _opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: archive.open(info)
