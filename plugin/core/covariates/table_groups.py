"""Which group of covariates a name belongs to."""

from __future__ import annotations

import fnmatch
from typing import Sequence

from ..errors import InputError

#: Groups of what the plugin's own algorithms write, and of names that are common for it. A name
#: also stands for those that go on after an underscore (``clay_0-5cm_mean``), in either case; the
#: first that fits counts.
USUAL_GROUPS = {
    "classes": ("land_cover", "soil_texture"),
    "smap": ("smap",),
    "sentinel1_statistics": tuple(
        f"{band}{orbit}_{statistic}"
        for band in ("vv", "vh", "angle")
        for orbit in ("", "_asc", "_desc")
        for statistic in ("min", "mean", "max", "sd")
    ),
    "sentinel1": ("vv", "vh", "angle"),
    "terrain": (
        *("elevation", "elev", "dem", "slope", "aspect", "roughness", "elevation_range", "twi"),
        *("profile_curvature", "plan_curvature", "tangential_curvature", "mean_curvature"),
        *("profc", "planc", "tangc", "meanc"),
    ),
    "soil": (
        *("clay", "sand", "silt", "soc", "organic_carbon", "bdod", "bulk_density"),
        *("ph", "phh2o"),
    ),
    "optical": (
        *("ndvi", "evi", "savi", "vari", "ndwi", "ndii5", "ndii6", "ndii7", "ndmi", "gvmi"),
        "albedo",
    ),
    "thermal": ("delta_lst", "ati", "lst"),
}


def parse_groups(text: str) -> list[tuple[str, str]]:
    """Read lines ``pattern=group``; empty lines are skipped."""
    pairs = []
    for line in text.replace(";", "\n").splitlines():
        if not line.strip():
            continue
        pattern, sign, group = line.partition("=")
        if not sign or not pattern.strip() or not group.strip():
            raise InputError(
                f"The line '{line.strip()}' of the groups is not 'pattern=group'.",
                "Write for example VV*=sentinel1.",
            )
        pairs.append((pattern.strip(), group.strip()))
    return pairs


def group_of(name: str, groups: Sequence[tuple[str, str]]) -> str:
    """Return the group of a covariate: that of the first pattern that fits; '' where none does.

    Where no patterns are given, the usual groups hold.

    Examples
    --------
    >>> group_of("VV_asc_min", []), group_of("VV", [("V?", "radar")]), group_of("rain", [])
    ('sentinel1_statistics', 'radar', '')
    """
    for pattern, group in groups:
        if fnmatch.fnmatchcase(name, pattern):
            return group
    if groups:
        return ""
    lower = name.lower()
    for group, names in USUAL_GROUPS.items():
        if any(lower == usual or lower.startswith(f"{usual}_") for usual in names):
            return group
    return ""
