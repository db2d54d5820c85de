"""Which covariates matter at stations not seen, and which set will do."""

from __future__ import annotations

from functools import partial
from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingOutputString

from ...plugin.core.progress import Progress, RecordingProgress
from ..base import SoilMoistureAlgorithm
from ..parameters import (
    CSV_FILTER,
    HTML_FILTER,
    SeedParameter,
    TableParameters,
    choice,
    csv_file,
    decimal,
    field,
    file_output,
    whole,
)
from ..translation import tr

METHODS = ("permutation", "out-of-bag", "impurity", "group-drop", "successive", "forward")
RANKINGS = ("permutation", "out-of-bag", "impurity")


class RankCovariates(TableParameters, SeedParameter, SoilMoistureAlgorithm):
    """Training table → ranking, report and the names of a set that will do."""

    ID = "rankcovariates"
    TITLE = "Rank covariates"
    GROUP = "models"
    TAGS = "variable importance,feature selection,permutation,forward selection,ablation"
    PACKAGES = ("numpy", "scipy", "rasterio", "sklearn", "joblib", "matplotlib")

    def declare(self) -> None:
        self.declare_table(tr("Training table"))
        self.add(field("COVARIATES", tr("Covariates"), several=True, optional=True))
        self.add(csv_file("COVARIATE_TABLE", tr("Covariate table (groups)"), optional=True))
        self.add(choice("METHOD", tr("Method"), METHODS, "permutation"))
        self.add(choice("RANKING", tr("Order of successive sets"), RANKINGS, "permutation"))
        self.add(decimal("TOLERANCE", tr("Tolerance"), 0.02, 0.0, 1.0), advanced=True)
        self.add(whole("REPEATS", tr("Permutations in a fold"), 5, 1, 1000), advanced=True)
        self.add(
            field("WEIGHT_FIELD", tr("Weight field"), numeric=True, optional=True), advanced=True
        )
        self.add(whole("TREES", tr("Trees"), 50, 1, 10_000), advanced=True)
        self.add(whole("MIN_LEAF", tr("Smallest leaf (rows)"), 10, 1), advanced=True)
        self.add(
            decimal("MAX_FEATURES", tr("Share of covariates tried a split"), 0.333, 0.0, 1.0),
            advanced=True,
        )
        self.add(whole("FOLDS", tr("Station folds"), 5, 2), advanced=True)
        self.declare_seed()
        self.add(file_output("OUTPUT", tr("Ranking"), CSV_FILTER, optional=False))
        self.add(file_output("REPORT", tr("Report"), HTML_FILTER, by_default=True))
        self.add_output(QgsProcessingOutputString("SELECTED", tr("Selected covariates")))

    def compute(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> dict[str, Any]:
        from ...plugin.core.evaluation.ranking import rank_covariates
        from ...plugin.core.evaluation.ranking_table import write_ranking
        from ...plugin.core.evaluation.reports.ranking_report import ranking_report

        heard = RecordingProgress(progress)
        rows = self._read_rows(parameters, context, heard)
        settings = self._read_settings(parameters, context, rows.covariates, heard)
        result = rank_covariates(rows, settings, heard.part(0.1, 0.95))
        report = partial(ranking_report, result, warnings=heard.warnings)
        return {
            **self.save(parameters, "REPORT", context, report),
            **self.save(parameters, "OUTPUT", context, partial(write_ranking, result)),
            "SELECTED": ";".join(result.selected),
        }

    def _read_rows(
        self, parameters: dict[str, Any], context: QgsProcessingContext, progress: Progress
    ) -> Any:
        from ...plugin.core.evaluation.selection import filled_covariates
        from ...plugin.core.stations.rows import training_rows

        source = self.table(parameters, "INPUT", context, progress.part(0.0, 0.1))
        target = self.text(parameters, "TARGET", context)
        station = self.text(parameters, "STATION", context)
        weight = self.text(parameters, "WEIGHT_FIELD", context)
        keys, from_csv = source.keys.primary_key, source.keys.from_csv
        used = [name for name in (target, station, weight) if name]
        names = filled_covariates(
            source.table,
            self.fields(parameters, "COVARIATES", context),
            [*used, *keys],
            progress,
            text_numbers=from_csv,
        )
        return training_rows(
            source.table,
            target=target,
            station=station,
            covariates=names,
            weight_field=weight,
            roles=("train",),
            exclude_fields=keys,
            text_numbers=from_csv,
            progress=progress,
        )

    def _read_settings(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        covariates: tuple[str, ...],
        progress: Progress,
    ) -> Any:
        from ...plugin.core.evaluation.ranking_table import RankSettings
        from ...plugin.core.models.heldout import ForestSettings

        forest = ForestSettings(
            trees=self.parameterAsInt(parameters, "TREES", context),
            min_leaf=self.parameterAsInt(parameters, "MIN_LEAF", context),
            max_features=self.parameterAsDouble(parameters, "MAX_FEATURES", context),
            seed=self.read_seed(parameters, context),
            threads=self.threads(context),
        )
        return RankSettings(
            method=self.parameterAsEnumString(parameters, "METHOD", context),
            forest=forest,
            folds=self.parameterAsInt(parameters, "FOLDS", context),
            repeats=self.parameterAsInt(parameters, "REPEATS", context),
            tolerance=self.parameterAsDouble(parameters, "TOLERANCE", context),
            ranking=self.parameterAsEnumString(parameters, "RANKING", context),
            groups=self._read_groups(parameters, context, covariates, progress),
        )

    def _read_groups(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        covariates: tuple[str, ...],
        progress: Progress,
    ) -> dict[str, str]:
        """Return the groups of a covariate table; without one, the usual groups of the names."""
        described = self.file(parameters, "COVARIATE_TABLE", context)
        if described:
            from ...plugin.core.covariates.table import read_table
            from ...plugin.core.stations.covariate_fields import warn_of_unlisted

            known = {row.covariate: row.group for row in read_table(described).rows}
            warn_of_unlisted(covariates, known, progress)
            lacking = [name for name in covariates if name in known and not known[name]]
            if lacking:
                progress.info(
                    f"COVARIATE_TABLE gives no group for {', '.join(lacking)}: each stands for "
                    "itself."
                )
            return {name: known[name] for name in covariates if known.get(name)}
        from ...plugin.core.covariates.table_groups import group_of

        usual = {name: group_of(name, []) for name in covariates}
        return {name: group for name, group in usual.items() if group}
