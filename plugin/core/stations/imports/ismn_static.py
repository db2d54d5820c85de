"""Land cover and climate of a station from ISMN's file of static variables."""

from __future__ import annotations

LAND_COVER, CLIMATE = "land_cover", "climate_class"

_COLUMNS = (
    "quantity_name",
    "unit",
    "depth_from[m]",
    "depth_to[m]",
    "value",
    "description",
    "quantity_source_name",
)
_IN_SITU = "insitu"


def read_static(data: bytes) -> dict[str, str]:
    """Return `land_cover` and `climate_class` as far as the file has them.

    Land cover is the description of ESA CCI's latest year, of the provider's own where there is
    none; climate is the code of Köppen and Geiger with its description. Other variables, such as
    the shares of clay and sand, are left out: numeric fields would count as covariates.

    Parameters
    ----------
    data : bytes
        Semicolons, no quotes: ``"`` stands for arc seconds. The header may be missing.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
    rows = [[cell.strip() for cell in line.split(";")] for line in text.splitlines()]
    rows = [row for row in rows if len(row) >= len(_COLUMNS)]
    columns = list(_COLUMNS)
    if rows and rows[0][0] == _COLUMNS[0]:
        columns = rows.pop(0)
    found = {}
    cover = _latest(rows, columns, "land cover classification")
    if cover:
        code, description = cover
        found[LAND_COVER] = description or f"class {code}"
    climate = _latest(rows, columns, "climate classification")
    if climate:
        code, description = climate
        found[CLIMATE] = f"{code} ({description})" if description else code
    return found


def _latest(rows: list[list[str]], columns: list[str], quantity: str) -> tuple[str, str] | None:
    """Return value and description of a quantity: by year of the source, in situ last."""
    place = {name: columns.index(name) if name in columns else -1 for name in _COLUMNS}
    if -1 in place.values():
        return None
    fits = [
        (
            row[place["quantity_source_name"]] != _IN_SITU,
            row[place["quantity_source_name"]],
            row[place["value"]],
            row[place["description"]],
        )
        for row in rows
        if len(row) > max(place.values())
        and row[place["quantity_name"]] == quantity
        and row[place["value"]].lower() not in ("", "nan", "unknown")
    ]
    if not fits:
        return None
    *_, value, description = max(fits)
    return value, description
