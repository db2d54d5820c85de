"""Parameters that several algorithms share: each mixin declares and reads the same ones."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterCrs,
    QgsProcessingParameterDateTime,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameters,
    QgsProcessingParameterString,
    QgsRectangle,
    QgsReferencedRectangle,
)

from ..plugin.core.errors import InputError
from ..plugin.core.progress import Progress
from . import layers
from .translation import tr

if TYPE_CHECKING:
    from ..plugin.core.covariates.table import CovariateTable
    from ..plugin.core.models.record import Model
    from ..plugin.core.rasters.grids import Grid
    from ..plugin.core.stations.rows import TrainingRows
    from ..plugin.core.stations.table import Table

MODEL_FILTER = "Soil moisture model (*.smm)"
CSV_FILTER = "CSV files (*.csv)"
HTML_FILTER = "HTML files (*.html)"
DEFAULT_QUANTILES = "0.05;0.5;0.95"

_SourceType = Qgis.ProcessingSourceType
_FieldType = Qgis.ProcessingFieldParameterDataType
_NumberType = Qgis.ProcessingNumberParameterType
_PLAIN_EXTENT = re.compile(r"[^\[\]]*")


def choice(
    name: str, label: str, options: Sequence[str], default: Any, *, several: bool = False
) -> QgsProcessingParameterEnum:
    """Return a choice among static texts."""
    return QgsProcessingParameterEnum(
        name, label, list(options), several, default, False, usesStaticStrings=True
    )


def whole(
    name: str, label: str, default: int, minimum: int, maximum: int = 2**31 - 1
) -> QgsProcessingParameterNumber:
    """Return a whole number with a range."""
    return QgsProcessingParameterNumber(
        name, label, _NumberType.Integer, default, False, minimum, maximum
    )


def decimal(
    name: str,
    label: str,
    default: float | None,
    minimum: float,
    maximum: float = 1.7e308,
    *,
    optional: bool = False,
) -> QgsProcessingParameterNumber:
    """Return a decimal number with a range."""
    return QgsProcessingParameterNumber(
        name, label, _NumberType.Double, default, optional, minimum, maximum
    )


def switch(name: str, label: str, default: bool) -> QgsProcessingParameterBoolean:
    """Return a yes or no."""
    return QgsProcessingParameterBoolean(name, label, default)


def line(
    name: str, label: str, default: str | None = None, *, multiline: bool = False
) -> QgsProcessingParameterString:
    """Return a text that may be left empty."""
    return QgsProcessingParameterString(name, label, default, multiline, True)


def field(
    name: str,
    label: str,
    default: str | None = None,
    *,
    parent: str = "INPUT",
    numeric: bool = False,
    several: bool = False,
    optional: bool = False,
) -> QgsProcessingParameterField:
    """Return a field, or fields, of a layer."""
    kind = _FieldType.Numeric if numeric else _FieldType.Any
    return QgsProcessingParameterField(name, label, default, parent, kind, several, optional)


def rows(name: str, label: str, *, points: bool = False) -> QgsProcessingParameterFeatureSource:
    """Return a vector input: points, or a table of any kind."""
    kind = _SourceType.VectorPoint if points else _SourceType.Vector
    return QgsProcessingParameterFeatureSource(name, label, [kind])


def csv_file(name: str, label: str, *, optional: bool = False) -> QgsProcessingParameterFile:
    """Return a CSV file that is read."""
    return QgsProcessingParameterFile(name, label, extension="csv", optional=optional)


def model_file(name: str, label: str, *, optional: bool = False) -> QgsProcessingParameterFile:
    """Return a model file that is read."""
    return QgsProcessingParameterFile(name, label, extension="smm", optional=optional)


def file_output(
    name: str, label: str, file_filter: str, *, optional: bool = True, by_default: bool = False
) -> QgsProcessingParameterFileDestination:
    """Return a file that is written."""
    return QgsProcessingParameterFileDestination(
        name, label, file_filter, None, optional, by_default or not optional
    )


def date(name: str, label: str, *, optional: bool = False) -> QgsProcessingParameterDateTime:
    """Return a day."""
    return QgsProcessingParameterDateTime(
        name, label, Qgis.ProcessingDateTimeParameterDataType.Date, None, optional
    )


def read_date(
    algorithm: Any, parameters: dict[str, Any], name: str, context: QgsProcessingContext
) -> datetime.date | None:
    """Return the day of a parameter; None where it is empty."""
    definition = algorithm.parameterDefinition(name)
    day = QgsProcessingParameters.parameterAsDate(definition, parameters, context)
    return datetime.date(day.year(), day.month(), day.day()) if day.isValid() else None


def read_quantiles(text: str) -> tuple[float, ...]:
    """Return the levels of a text, ascending.

    Examples
    --------
    >>> read_quantiles("0.95; 0.5,0.05")
    (0.05, 0.5, 0.95)
    """
    levels = set()
    for part in re.split(r"[;,]", text):
        if not part.strip():
            continue
        try:
            level = float(part)
        except ValueError:
            level = -1.0
        if not 0.0 < level < 1.0:
            raise InputError(
                f"QUANTILES: '{part.strip()}' is not a number between 0 and 1.",
                f"Give levels joined by semicolons, such as {DEFAULT_QUANTILES}.",
            )
        levels.add(level)
    return tuple(sorted(levels))


def read_dates(text: str) -> list[datetime.date]:
    """Return the days of a text of ISO dates joined by semicolons, ascending, each once."""
    days = set()
    for part in re.split(r"[;,\s]+", text.strip()):
        if not part:
            continue
        try:
            days.add(datetime.date.fromisoformat(part))
        except ValueError as error:
            raise InputError(
                f"DATES: '{part}' is not a date.",
                "Give days as YYYY-MM-DD, joined by semicolons.",
            ) from error
    return sorted(days)


class SeedParameter:
    """`SEED`."""

    def declare_seed(self) -> None:
        """Add the parameter."""
        self.add(whole("SEED", tr("Seed"), 42, 0), advanced=True)

    def read_seed(self, parameters: dict[str, Any], context: QgsProcessingContext) -> int:
        """Return the seed."""
        return self.parameterAsInt(parameters, "SEED", context)


class ModelParameter:
    """`MODEL`."""

    def declare_model(self) -> None:
        """Add the parameter."""
        self.add(model_file("MODEL", tr("Model")))

    def read_model(
        self, parameters: dict[str, Any], context: QgsProcessingContext, name: str = "MODEL"
    ) -> Model | None:
        """Read a model file; None where none is given."""
        from ..plugin.core.models.modelfile import load_model

        path = self.file(parameters, name, context)
        return load_model(path) if path else None


@dataclass(frozen=True)
class TableFields:
    """Fields of a training table; empty ones are the model's."""

    target: str | None
    station: str | None
    groups: tuple[str, ...]


class TableParameters:
    """`INPUT`, `TARGET`, `STATION` and `GROUPS` of a table that a model is made or judged with."""

    def declare_table(self, label: str, *, from_model: bool = False) -> None:
        """Add the parameters; with `from_model`, empty fields are those the model remembers."""
        self.add(rows("INPUT", label))
        target, station = (None, None) if from_model else ("moisture", "station")
        self.add(
            field("TARGET", tr("Moisture field"), target, optional=from_model),
            advanced=from_model,
        )
        self.add(
            field("STATION", tr("Station field"), station, optional=from_model),
            advanced=from_model,
        )

    def declare_groups(self) -> None:
        """Add the classes to report by."""
        self.add(
            field("GROUPS", tr("Classes to report by"), several=True, optional=True),
            advanced=True,
        )

    def read_fields(self, parameters: dict[str, Any], context: QgsProcessingContext) -> TableFields:
        """Return the fields as they are given."""
        return TableFields(
            self.text(parameters, "TARGET", context),
            self.text(parameters, "STATION", context),
            tuple(self.fields(parameters, "GROUPS", context)),
        )


class ModelTableParameters(TableParameters, ModelParameter):
    """The table that a model is spiked or judged with; fields left empty are the model's."""

    def fields_for(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        model: Model,
        table: Table,
        progress: Progress,
    ) -> TableFields:
        """Return the fields, those of the model where none are given.

        Classes that the model remembers and the table lacks are left out, with a note.
        """
        given = self.read_fields(parameters, context)
        groups = given.groups
        if not groups:
            groups = tuple(name for name in model.class_fields if table.has(name))
            lacking = [name for name in model.class_fields if not table.has(name)]
            if lacking:
                progress.info(f"The table has no class field {', '.join(lacking)}.")
        return TableFields(
            given.target or model.target, given.station or model.station_field, groups
        )

    def rows_for(
        self,
        model: Model,
        source: layers.SourceTable,
        fields: TableFields,
        roles: Sequence[str] | None,
        progress: Progress,
    ) -> TrainingRows:
        """Return the complete rows of the roles, with the covariates of the model."""
        from ..plugin.core.stations.rows import training_rows

        return training_rows(
            source.table,
            target=fields.target or "",
            station=fields.station or "",
            date=model.date_field,
            covariates=model.names,
            groups=fields.groups,
            roles=roles,
            use_folds=False,
            min_stations=1,
            progress=progress,
        )


@dataclass(frozen=True, eq=False)
class MapRequest:
    """What a map is made of beside its day."""

    model: Model
    fallback: Model | None
    table: CovariateTable
    grid: Grid
    mask: list[dict[str, Any]] | None
    quantiles: tuple[float, ...]


class MapParameters(ModelParameter):
    """Model, covariates, grid, mask, quantiles and fallback of a map."""

    def declare_model_and_covariates(self) -> None:
        """Add model and covariate table."""
        self.declare_model()
        self.add(csv_file("COVARIATES", tr("Covariate table")))

    def declare_grid(self) -> None:
        """Add where the map lies and what it holds."""
        self.add(
            QgsProcessingParameterRasterLayer(
                "GRID", tr("Grid (raster whose cells the map takes)"), None, True
            )
        )
        self.add(QgsProcessingParameterExtent("EXTENT", tr("Extent"), None, True))
        self.add(decimal("RESOLUTION", tr("Cell size (CRS units)"), None, 0.0, optional=True))
        self.add(
            QgsProcessingParameterCrs("CRS", tr("Coordinate system"), None, True), advanced=True
        )
        self.add(
            QgsProcessingParameterFeatureSource(
                "MASK", tr("Mask (polygons to map)"), [_SourceType.VectorPolygon], None, True
            )
        )
        self.add(
            QgsProcessingParameterString("QUANTILES", tr("Quantiles"), DEFAULT_QUANTILES),
            advanced=True,
        )
        self.add(model_file("FALLBACK", tr("Fallback model"), optional=True), advanced=True)

    def collect_extent(self, parameters: dict[str, Any], context: QgsProcessingContext) -> None:
        """Keep the extent with its own system; to be called in `collect`."""
        self._extent: tuple[tuple[float, ...], str] | None = None
        if not self.given(parameters, "EXTENT"):
            return
        value = parameters["EXTENT"]
        edges = self.parameterAsExtent(parameters, "EXTENT", context)
        crs = self.parameterAsExtentCrs(parameters, "EXTENT", context)
        box = (edges.xMinimum(), edges.yMinimum(), edges.xMaximum(), edges.yMaximum())
        self._has_own_crs = not _has_no_crs(value)
        self._extent = (box, layers.wkt_of(crs))

    def read_map(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> MapRequest:
        """Read everything a map needs beside its day."""
        from ..plugin.core.covariates.table import read_table

        quantiles = read_quantiles(self.parameterAsString(parameters, "QUANTILES", context))
        grid = self.read_grid(parameters, context)
        progress.info(f"Grid: {grid.describe()}.")
        mask = None
        if self.given(parameters, "MASK"):
            source = self.parameterAsSource(parameters, "MASK", context)
            if source is None:
                raise InputError("MASK cannot be read.", "Choose a polygon layer.")
            mask = layers.mask_geometries(source, grid.crs, context, progress)
        return MapRequest(
            model=self.read_model(parameters, context),
            fallback=self.read_model(parameters, context, "FALLBACK"),
            table=read_table(self.file(parameters, "COVARIATES", context)),
            grid=grid,
            mask=mask,
            quantiles=quantiles,
        )

    def read_grid(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Grid:
        """Return the cells of the map.

        Raises
        ------
        InputError
            When neither GRID nor EXTENT is given, or what excludes each other.
        """
        if self.given(parameters, "GRID"):
            return self._grid_of_raster(parameters, context)
        if self._extent is None:
            raise InputError(
                "Neither GRID nor EXTENT is given.",
                "Choose a raster as GRID, or an EXTENT and a RESOLUTION.",
            )
        if not self.given(parameters, "RESOLUTION"):
            raise InputError(
                "EXTENT is given without RESOLUTION.", "Give the cell size in CRS units."
            )
        from ..plugin.core.rasters.grids import Grid, transform_extent

        box, own = self._extent
        crs = own
        if self.given(parameters, "CRS"):
            crs = layers.wkt_of(self.parameterAsCrs(parameters, "CRS", context))
            box = transform_extent(own, crs, box) if self._has_own_crs else box
        if not crs:
            raise InputError(
                "EXTENT has no coordinate system.",
                "Add it, as in 0,100,0,100 [EPSG:32633], or give CRS.",
            )
        resolution = self.parameterAsDouble(parameters, "RESOLUTION", context)
        return Grid.from_extent(box, resolution, crs)

    def _grid_of_raster(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Grid:
        refused = [name for name in ("RESOLUTION", "CRS") if self.given(parameters, name)]
        if refused:
            raise InputError(
                f"{' and '.join(refused)} cannot be given beside GRID.",
                "Leave GRID or them empty: with GRID, EXTENT alone cuts its cells.",
            )
        from ..plugin.core.rasters.grids import transform_extent
        from ..plugin.core.rasters.reading import geometry

        grid = geometry(self.rasters("GRID")[0].path)
        if self._extent is None:
            return grid
        box, own = self._extent
        return grid.cut(transform_extent(own, grid.crs, box) if self._has_own_crs else box)


def _has_no_crs(value: Any) -> bool:
    if isinstance(value, QgsReferencedRectangle):
        return not value.crs().isValid()
    if isinstance(value, QgsRectangle):
        return True
    return isinstance(value, str) and value.count(",") == 3 and bool(_PLAIN_EXTENT.fullmatch(value))
