"""Parameters that several algorithms share: each mixin declares and reads the same ones."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDateTime,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameters,
    QgsProcessingParameterString,
)

from ..plugin.core.progress import Progress
from . import layers
from .translation import tr

if TYPE_CHECKING:
    from ..plugin.core.models.record import Model
    from ..plugin.core.stations.rows import TrainingRows
    from ..plugin.core.stations.table import Table

MODEL_FILTER = "Soil moisture model (*.smm)"
CSV_FILTER = "CSV files (*.csv)"
HTML_FILTER = "HTML files (*.html)"

_SourceType = Qgis.ProcessingSourceType
_FieldType = Qgis.ProcessingFieldParameterDataType
_NumberType = Qgis.ProcessingNumberParameterType


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
