"""Which band of a radar image is VV, VH or the incidence angle, told by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...errors import InputError

ROLES = ("VV", "VH", "angle")
POLARISATIONS = ("VV", "VH")
DEFAULT_BANDS = "VV;VH;angle"

# Words of a name, the best first: the angle at the ellipsoid, as Earth Engine's, then others.
_ANGLES = (
    "incidenceanglefromellipsoid",
    "inc map ell",
    "incidenceangle",
    "local incidence angle",
    "localincidenceangle",
    "projectedlocalincidenceangle",
    "inc map",
    "lia",
    "theta",
)
_LOCAL = "local"


@dataclass(frozen=True)
class Label:
    """A band and what it is called; `backup` is the file's name where that may tell more."""

    index: int
    name: str
    backup: str = ""


@dataclass(frozen=True)
class Match:
    """The band of a role, and how far down the list of names it was found (0 = first)."""

    index: int
    name: str
    rank: int


def parse_bands(text: str) -> dict[str, str]:
    """Read which names the bands have in the images.

    Parameters
    ----------
    text : str
        Names of VV, VH and angle in this order, or ``VV=name`` in any, joined by ``;``. Names
        that are left out are not used.

    Returns
    -------
    dict
        Role → name, in the order of `ROLES`.

    Examples
    --------
    >>> parse_bands("Sigma0_VV_db;Sigma0_VH_db")
    {'VV': 'Sigma0_VV_db', 'VH': 'Sigma0_VH_db'}
    >>> parse_bands("angle=lia;VV=VV")
    {'VV': 'VV', 'angle': 'lia'}
    """
    by_case = {role.casefold(): role for role in ROLES}
    parts = [part.strip() for part in text.split(";")]
    cure = "Write the names of VV, VH and angle, as VV;VH;angle, or VV=name;VH=name;angle=name."
    found: dict[str, str] = {}
    for position, part in enumerate(parts):
        if not part:
            continue
        left, equals, right = (word.strip() for word in part.partition("="))
        key = left.casefold()
        if equals:
            role, name = by_case.get(key, ""), right
        elif key in by_case:
            role, name = by_case[key], left
        else:
            role, name = (ROLES[position] if position < len(ROLES) else ""), part
        if not role or not name:
            raise InputError(f"BANDS: '{part}' is not the name of a band.", cure)
        if role in found:
            raise InputError(f"BANDS names {role} twice: '{found[role]}' and '{name}'.", cure)
        found[role] = name
    if not any(role in found for role in POLARISATIONS):
        raise InputError(f"BANDS '{text}' names neither VV nor VH.", cure)
    return {role: found[role] for role in ROLES if role in found}


def match_bands(
    labels: Sequence[Label], wanted: Mapping[str, str], *, decibels: bool, where: str
) -> dict[str, Match]:
    """Find the band of each role among the bands of one image.

    A band is taken whose name is the wanted one; else the one whose name holds it between
    separators (``Sigma0_VV_db`` holds VV), but not the other polarisation. Of several, the one
    in the wanted units is taken (``db`` in the name or not).

    Raises
    ------
    InputError
        Where several bands fit.
    """
    found: dict[str, Match] = {}
    for role, name in wanted.items():
        names = [name]
        if role == "angle" and name.casefold() == "angle":
            names += _ANGLES
        for rank, sought in enumerate(names):
            others = [wanted.get(other, other) for other in POLARISATIONS if other != role]
            if role == "angle" and _LOCAL not in sought.casefold():
                others.append(_LOCAL)
            fitting = _fitting(labels, sought, others)
            if len(fitting) > 1:
                right = [label for label in fitting if ("db" in _words(label.name)) == decibels]
                fitting = right or fitting
            if len(fitting) > 1:
                listed = ", ".join(f"'{label.name}'" for label in fitting)
                raise InputError(
                    f"Several bands of '{where}' may be {role}: {listed}.",
                    f"Name the right one in BANDS, as {role}={fitting[0].name}.",
                )
            if fitting:
                found[role] = Match(fitting[0].index, fitting[0].name, rank)
                break
    return found


def _fitting(labels: Sequence[Label], sought: str, others: Sequence[str]) -> list[Label]:
    """Return the bands called so: exactly, else but for case, else by the words in the name."""
    for same in (str, str.casefold):
        exact = [label for label in labels if same(label.name) == same(sought)]
        if exact:
            return exact
    for part in ("name", "backup"):
        fitting = [label for label in labels if _holds(getattr(label, part), sought, others)]
        if fitting:
            return fitting
    return []


def _holds(text: str, sought: str, others: Sequence[str]) -> bool:
    words = _words(text)
    return _contains(words, _words(sought)) and not any(
        _contains(words, _words(other)) for other in others
    )


def _contains(words: Sequence[str], sought: Sequence[str]) -> bool:
    size = len(sought)
    return size > 0 and any(
        words[start : start + size] == sought for start in range(len(words) - size + 1)
    )


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())
