"""Ranking covariates in QGIS: numbers, the names handed on, and wrong input."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
)

FAST = {"TREES": 8, "MIN_LEAF": 3, "MAX_FEATURES": 1.0, "FOLDS": 3}
COVARIATES = ["aspect_cos", "aspect_sin", "clay", "elevation", "sand", "slope", "wet"]


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_ranking_of_the_landscape(run: Callable, chain: Any, feedback: Any, tmp_path: Path) -> None:
    """Moisture is made of wet, and of clay, of which sand is the other side (60 - clay)."""
    heard = feedback()
    found = run(
        "rankcovariates",
        {
            "INPUT": chain.split,
            "METHOD": "successive",
            **FAST,
            "OUTPUT": tmp_path / "ranking.csv",
            "REPORT": tmp_path / "ranking.html",
        },
        heard,
    )
    rows = lines(tmp_path / "ranking.csv")
    ranked = [row for row in rows if row["rank"]]
    assert sorted(row["covariate"] for row in ranked) == COVARIATES
    assert ranked[0]["covariate"] == "wet"
    chosen = found["SELECTED"].split(";")
    assert chosen == [row["covariate"] for row in ranked if row["selected"] == "1"]
    assert "wet" in chosen
    assert {"clay", "sand"} & set(chosen)
    # 15 stations train, on 6 days each
    assert {(row["n"], row["stations"]) for row in ranked} == {("90", "15")}
    assert [row["covariates"] for row in ranked] == [str(i + 1) for i in range(7)]
    for row in ranked:
        rmse = np.hypot(float(row["ubrmse"]), float(row["me"]))
        assert float(row["rmse"]) == pytest.approx(rmse, rel=1e-6)
    assert f"Selected: {'; '.join(chosen)}." in heard.said
    assert heard.fractions == sorted(heard.fractions)
    assert ";".join(chosen) in (tmp_path / "ranking.html").read_text(encoding="utf-8")


def test_all_covariates_score_as_the_training_does(
    run: Callable, chain: Any, scores: Callable, tmp_path: Path
) -> None:
    given = {"INPUT": chain.split, "COVARIATES": ["wet", "clay"], **FAST}
    run("rankcovariates", {**given, "OUTPUT": tmp_path / "r.csv"})
    run(
        "trainmodel",
        {**given, "OUTPUT": tmp_path / "m.smm", "METRICS": tmp_path / "m.csv"},
    )
    whole = lines(tmp_path / "r.csv")[-2]
    assert whole["covariate"] == "clay;wet"
    trained = next(row for row in scores(tmp_path / "m.csv") if row["scope"] == "overall")
    for name in ("r", "ubrmse", "me", "slope", "rmse", "n", "stations"):
        assert float(whole[name]) == pytest.approx(float(trained[name]), rel=1e-8), name


def test_groups_come_from_the_covariate_table(run: Callable, chain: Any, tmp_path: Path) -> None:
    given = {"INPUT": chain.split, "METHOD": "group-drop", **FAST}
    found = run(
        "rankcovariates",
        {**given, "COVARIATE_TABLE": chain.covariates, "OUTPUT": tmp_path / "a.csv"},
    )
    groups = {row["group"]: row["covariate"] for row in lines(tmp_path / "a.csv") if row["rank"]}
    assert groups["soil"] == "clay;sand"
    assert groups["smap"] == "wet"
    # the patterns of the table know no terrain, so that each of these stands for itself
    assert groups["slope"] == "slope"
    assert len(groups) == 6
    assert {"wet", "clay", "sand"} <= set(found["SELECTED"].split(";"))
    run("rankcovariates", {**given, "OUTPUT": tmp_path / "b.csv"})
    usual = {row["group"]: row["covariate"] for row in lines(tmp_path / "b.csv") if row["rank"]}
    assert usual["terrain"] == "aspect_cos;aspect_sin;elevation;slope"


def test_selected_names_feed_the_covariates_of_a_training_in_a_model(
    run: Callable, chain: Any, tmp_path: Path
) -> None:
    from soil_moisture_mapper.plugin.core.models.modelfile import load_model

    source = QgsProcessingModelChildParameterSource
    model = QgsProcessingModelAlgorithm("ranked", "test")
    rank = QgsProcessingModelChildAlgorithm("soilmoisture:rankcovariates")
    rank.setChildId("rank")
    train = QgsProcessingModelChildAlgorithm("soilmoisture:trainmodel")
    train.setChildId("train")
    for child in (rank, train):
        child.addParameterSources("INPUT", [source.fromStaticValue(str(chain.split))])
        for name, value in FAST.items():
            child.addParameterSources(name, [source.fromStaticValue(value)])
    train.addParameterSources("COVARIATES", [source.fromChildOutput("rank", "SELECTED")])
    output = QgsProcessingModelOutput("model", "model")
    output.setChildId("train")
    output.setChildOutputName("OUTPUT")
    train.setModelOutputs({"model": output})
    model.addChildAlgorithm(rank)
    model.addChildAlgorithm(train)
    model.updateDestinationParameters()
    target = tmp_path / "m.smm"
    context = QgsProcessingContext()
    feedback = QgsProcessingFeedback()
    _, ok = model.run(
        {model.destinationParameterDefinitions()[0].name(): str(target)}, context, feedback
    )
    assert ok, feedback.textLog()
    direct = run(
        "rankcovariates", {"INPUT": chain.split, **FAST, "OUTPUT": tmp_path / "direct.csv"}
    )
    assert set(load_model(target).names) == set(direct["SELECTED"].split(";"))
    assert 0 < len(load_model(target).names) < len(COVARIATES)


def test_wrong_input(run: Callable, refused: Callable, chain: Any, tmp_path: Path) -> None:
    output = tmp_path / "ranking.csv"
    given = {"INPUT": chain.split, "OUTPUT": output, **FAST}
    refused(
        "rankcovariates",
        {**given, "COVARIATES": ["wet"], "METHOD": "forward"},
        "Forward selection starts with pairs, but there is one covariate (wet). "
        "Name at least two in COVARIATES.",
    )
    refused(
        "rankcovariates",
        {**given, "COVARIATES": ["clay", "sand"], "METHOD": "group-drop"},
        "All covariates are of one group (soil), so dropping it leaves none. "
        "Give a COVARIATE_TABLE with several groups, or choose another METHOD.",
    )
    with pytest.raises(QgsProcessingException, match=r"^There is no field 'water'\."):
        run("rankcovariates", {**given, "TARGET": "water"})
    with pytest.raises(QgsProcessingException, match="no field for the covariates: rain"):
        run("rankcovariates", {**given, "COVARIATES": ["rain", "wet"]})
    assert not output.exists()


def test_a_run_can_be_stopped(run: Callable, chain: Any, feedback: Any, tmp_path: Path) -> None:
    output = tmp_path / "ranking.csv"
    given = {"INPUT": chain.split, "METHOD": "forward", **FAST, "OUTPUT": output}
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        run("rankcovariates", given, feedback(stop_at=60))
    assert list(tmp_path.iterdir()) == []
