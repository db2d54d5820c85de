"""Land cover maps brought to a few classes that mean the same in all of them."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Sequence

import numpy as np

from ..errors import InputError
from ..progress import Progress
from ..rasters.cache import bounded_cache
from ..rasters.reading import RasterReader
from .classes import CLASS_TABLES, MISSING_CODE, ClassWriter, RasterClass, read_classes
from .rows import check_names, listed

MAP_SCHEMES = ("lc100", "worldcover", "nlcd", "corine")
OWN_SCHEME = "own"
SCHEMES = (*MAP_SCHEMES, OWN_SCHEME)
UNMAPPED = ("error", "missing", "other")
MISSING = "missing"
OTHER = "other"

_BLOCK = 1024
_MOST_VALUES = 100_000  # values one mapping may list
_UNMAPPED = -1
_LINE = re.compile(r"(-?\d+)(?:\s*-\s*(-?\d+))?")
# Colours of classes beyond those of the plugin, told apart by the colour-blind.
_MORE_COLOURS = ("#CC79A7", "#0072B2", "#999999", "#D55E00", "#56B4E9", "#332288", "#882255")


@dataclass(frozen=True)
class ValueRange:
    """Values of a land cover map, `first` to `last` included, that become one class."""

    first: int
    last: int
    name: str


def group_classes(
    path: str | Path,
    band: int,
    output: str | Path,
    *,
    scheme: str = "lc100",
    mapping: Sequence[ValueRange] = (),
    unmapped: str = "error",
    name: str = "land_cover",
    progress: Progress | None = None,
) -> dict[str, int]:
    """Write a land cover map in the plugin's classes, block by block, on the map's own grid.

    Parameters
    ----------
    path, band
        The map; its values are whole numbers.
    output : path
        A byte raster of one band, 255 for missing; see `ClassWriter`.
    scheme : {"lc100", "worldcover", "nlcd", "corine", "own"}
        Which table of ``resources/classes`` holds; "own" is none but `mapping`.
    mapping : sequence of ValueRange
        Comes before the scheme's table, later ranges before earlier ones; the class ``missing``
        is none. A class that is a whole number is its own code, other new names take the next
        free ones.
    unmapped : {"error", "missing", "other"}
        What becomes of values that neither lists.
    name : str
        The band's description.

    Returns
    -------
    dict of str to int
        Cells of each class, in the order of codes.

    Raises
    ------
    InputError
        For an empty or contradictory mapping, values that are no whole numbers, and values that
        are not mapped: all are listed with their counts.
    """
    progress = progress or Progress()
    _check(scheme, mapping, unmapped, name)
    known = {**_scheme_values(scheme), **_values(mapping)}
    classes = legend(known.values(), scheme, unmapped)
    codes = {one.name: one.code for one in classes}
    codes[MISSING] = MISSING_CODE
    values = np.array(sorted(known), dtype=np.int64)
    targets = np.array([codes[known[int(value)]] for value in values], dtype=np.int16)
    rest = {"missing": MISSING_CODE, "other": codes.get(OTHER, _UNMAPPED)}.get(unmapped, _UNMAPPED)
    strange: Counter[int] = Counter()
    cells = np.zeros(256, dtype=np.int64)
    with bounded_cache(), RasterReader(path, progress=progress, count_all=False) as reader:
        windows = reader.grid.windows(_BLOCK)
        with ClassWriter(output, reader.grid, name, classes) as writer:
            for done, window in enumerate(windows):
                progress.step(done / len(windows))
                found = _whole(reader.read([band], window)[0], band, reader.path)
                block = _translate(found, values, targets, strange)
                block[block == _UNMAPPED] = MISSING_CODE if rest == _UNMAPPED else rest
                written = block.astype(np.uint8)
                cells += np.bincount(written.ravel(), minlength=256)
                writer.write(window, written[None])
            _judge_strange(strange, unmapped, scheme, reader.path, progress)
    counts = {one.name: int(cells[one.code]) for one in classes}
    _tell(counts, int(cells[MISSING_CODE]), progress)
    return counts


def legend(names: Iterable[str], scheme: str, unmapped: str = "error") -> tuple[RasterClass, ...]:
    """Return the classes that a mapping leads to, in the order of their codes.

    The plugin's own classes keep their codes. All of them are there for the maps it knows, those
    named for an own mapping.
    """
    standard = {one.name: one for one in read_classes("land_cover.csv")}
    wanted = dict.fromkeys(name for name in names if name != MISSING)
    if scheme != OWN_SCHEME:
        wanted = dict.fromkeys([*standard, *wanted])
    elif unmapped == "other":
        wanted[OTHER] = None
    chosen = [standard[name] for name in wanted if name in standard]
    more = [name for name in wanted if name not in standard]
    taken = {one.code for one in chosen}
    numbered = [name for name in more if name.isdigit()]
    clashing = [name for name in numbered if int(name) in taken or int(name) >= MISSING_CODE]
    if clashing or len({int(name) for name in numbered}) < len(numbered):
        raise InputError(
            f"The class numbers {listed(clashing or numbered)} cannot be codes.",
            f"Use whole numbers from 0 to {MISSING_CODE - 1}, each once, that no class of the "
            f"plugin has ({', '.join(f'{one.code} = {one.name}' for one in chosen)}).",
        )
    taken |= {int(name) for name in numbered}
    free = (code for code in range(len(standard) + 1, MISSING_CODE) if code not in taken)
    for place, name in enumerate(more):
        code = int(name) if name in numbered else next(free, MISSING_CODE)
        colour = _MORE_COLOURS[place % len(_MORE_COLOURS)]
        chosen.append(RasterClass(code, name, colour))
    if any(one.code >= MISSING_CODE for one in chosen):
        raise InputError(f"{len(chosen)} classes are too many.", "Give at most 248 of your own.")
    return tuple(sorted(chosen, key=lambda one: one.code))


def parse_mapping(text: str) -> list[ValueRange]:
    """Read lines ``value=class`` or ``from-to=class``; empty lines are skipped.

    Examples
    --------
    >>> parse_mapping("11-12=other; 82=cultivated")[0]
    ValueRange(first=11, last=12, name='other')
    """
    return [
        _value_range(*line.partition("=")[::2], f"the line '{line.strip()}' of the mapping")
        for line in text.replace(";", "\n").splitlines()
        if line.strip()
    ]


def read_mapping(path: str | Path) -> list[ValueRange]:
    """Read a CSV with the columns ``value`` and ``class``; others are ignored.

    ``value`` holds a whole number or a range such as ``111-116``. The tables of
    ``resources/classes`` have this form.

    Raises
    ------
    InputError
        For another file, and for a line that cannot be read: named by its number.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The mapping table '{path}' cannot be read ({error}).", "Check the path."
        ) from error
    header = text.partition("\n")[0]
    delimiter = ";" if header.count(";") > header.count(",") else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    missing = [name for name in ("value", "class") if name not in (reader.fieldnames or [])]
    if missing:
        raise InputError(
            f"The mapping table '{file.name}' has no column {' and no column '.join(missing)}.",
            "Give one line a value, under the header value,class.",
        )
    return [
        _value_range(row["value"] or "", row["class"] or "", f"line {reader.line_num} of '{path}'")
        for row in reader
        if (row["value"] or row["class"] or "").strip()
    ]


def _value_range(value: str, name: str, where: str) -> ValueRange:
    found = _LINE.fullmatch(value.strip())
    name = name.strip()
    if found is None or not name or set(name) & set(";=\n"):
        raise InputError(
            f"'{value.strip()}={name}' in {where} is not 'value=class'.",
            "Write for example 82=cultivated or 111-126=forest.",
        )
    first, last = int(found[1]), int(found[2] or found[1])
    if last < first or last - first >= _MOST_VALUES:
        raise InputError(
            f"The range {value.strip()} in {where} runs backwards or is too long.",
            "Give the smaller value first.",
        )
    return ValueRange(first, last, name)


def _check(scheme: str, mapping: Sequence[ValueRange], unmapped: str, name: str) -> None:
    if scheme not in SCHEMES or unmapped not in UNMAPPED:
        raise InputError(
            f"The scheme '{scheme}' with unmapped values '{unmapped}' is unknown.",
            f"Use one of {', '.join(SCHEMES)}, and one of {', '.join(UNMAPPED)}.",
        )
    if scheme == OWN_SCHEME and not mapping:
        raise InputError(
            "The scheme 'own' has no classes: MAPPING and MAPPING_TABLE are empty.",
            "Write lines such as 82=cultivated, or give a CSV with the columns value and class.",
        )
    check_names([name])


def _scheme_values(scheme: str) -> dict[int, str]:
    return {} if scheme == OWN_SCHEME else _values(read_mapping(CLASS_TABLES / f"{scheme}.csv"))


def _values(mapping: Iterable[ValueRange]) -> dict[int, str]:
    return {value: one.name for one in mapping for value in range(one.first, one.last + 1)}


def _whole(values: np.ndarray, band: int, path: Path) -> np.ndarray:
    """Return values as they are, refusing what is no class code."""
    there = np.isfinite(values)
    broken = there & (values != np.round(values))
    if broken.any():
        raise InputError(
            f"Band {band} of '{path.name}' holds {values[broken][0]:g}, which is no class code.",
            "Choose the land cover classes, not cover fractions or probabilities.",
        )
    return values


def _translate(
    found: np.ndarray, values: np.ndarray, targets: np.ndarray, strange: Counter[int]
) -> np.ndarray:
    """Return target codes, −1 where a value is not mapped; those are added to `strange`."""
    there = np.isfinite(found)
    block = np.full(found.shape, MISSING_CODE, dtype=np.int16)
    codes = found[there].astype(np.int64)
    place = np.minimum(np.searchsorted(values, codes), len(values) - 1)
    mapped = values[place] == codes
    block[there] = np.where(mapped, targets[place], _UNMAPPED)
    if not mapped.all():
        odd, counts = np.unique(codes[~mapped], return_counts=True)
        strange.update(dict(zip(odd.tolist(), counts.tolist())))
    return block


def _judge_strange(
    strange: Counter[int], unmapped: str, scheme: str, path: Path, progress: Progress
) -> None:
    if not strange:
        return
    counted = listed([f"{value} ({count} cells)" for value, count in sorted(strange.items())])
    if unmapped != "error":
        progress.warn(f"Values that are not in the mapping, taken as {unmapped}: {counted}.")
        return
    raise InputError(
        f"'{path.name}' holds values that the mapping '{scheme}' does not list: {counted}.",
        "Check SCHEME; or add them to MAPPING (value=class, or value=missing); or choose in "
        "UNMAPPED what becomes of them.",
    )


def _tell(counts: dict[str, int], missing: int, progress: Progress) -> None:
    total = sum(counts.values())
    if not total:
        progress.warn("No cell has a class: every value is missing.")
        return
    shares = ", ".join(f"{name} {100 * n / total:.1f} %" for name, n in counts.items() if n)
    progress.info(f"{total} cells with a class: {shares}; {missing} missing.")
