"""The learning curve and the bias correction through QGIS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FEW = {"COUNTS": "1;4", "DRAWS": 2, "TREES": 5, "WEIGHT": 5}


def test_curve_of_the_landscape(
    run: Callable, chain: Any, tmp_path: Path, scores: Callable
) -> None:
    given = {"MODEL": chain.model, "INPUT": chain.local, "STRATA": "landcover", **FEW}
    result = run(
        "learningcurve",
        {
            **given,
            "DESIGNS": ["random", "stratified"],
            "OUTPUT": tmp_path / "curve.csv",
            "REPORT": tmp_path / "curve.html",
        },
    )
    assert set(result) == {"OUTPUT", "REPORT"}
    rows = scores(tmp_path / "curve.csv")
    assert len(rows) == 2 * (1 + 2 * 2 * 2)  # draws × (global + designs × counts × models)
    assert {row["stations"] for row in rows} == {"6"}  # 0.4 × 16 = 6.4
    assert {row["n"] for row in rows} == {"36"}
    assert {row["design"] for row in rows} == {"", "random", "stratified"}
    assert "How many probes are enough?" in (tmp_path / "curve.html").read_text(encoding="utf-8")

    def bias(model: str, count: str) -> float:
        found = [r for r in rows if (r["model"], r["count"]) == (model, count)]
        return sum(float(r["abs_me"]) for r in found) / len(found)

    assert bias("spiked", "4") < bias("global", "0")


def test_numbers_of_static_choices_and_wrong_input(
    run: Callable, refused: Callable, chain: Any, tmp_path: Path
) -> None:
    given = {"MODEL": chain.model, "INPUT": chain.local, **FEW, "OUTPUT": tmp_path / "curve.csv"}
    refused(
        "learningcurve",
        {**given, "COUNTS": "1;two"},
        "COUNTS holds 'two', which is no whole number above 0. "
        "Give numbers such as 1;2;4;8, or 0 for 1, 2, 4 and so on.",
    )
    refused(
        "learningcurve",
        {**given, "DESIGNS": ["stratified"]},
        "The design stratified needs a field. Choose a field as STRATA.",
    )
    refused(
        "learningcurve",
        {**given, "MODEL": chain.spiked},
        "The model is spiked already. "
        "Spike the model it was made from, with all local stations in one table.",
    )
    assert not list(tmp_path.iterdir())


def test_bias_of_a_model_without_training_rows_is_corrected(
    run: Callable, chain: Any, tmp_path: Path, scores: Callable
) -> None:
    bare = tmp_path / "bare.smm"
    few = {"TREES": 10, "MIN_LEAF": 3, "EMBED_TRAINING": False}
    run("trainmodel", {"INPUT": chain.split, **few, "OUTPUT": bare})
    result = run(
        "spikemodel",
        {
            "MODEL": bare,
            "INPUT": chain.spiking,
            "METHOD": "bias",
            "OUTPUT": tmp_path / "field.smm",
            "REPORT": tmp_path / "field.html",
            "METRICS": tmp_path / "field.csv",
        },
    )
    assert set(result) == {"OUTPUT", "REPORT", "METRICS"}
    found = {(r["scope"], r["source"]): r for r in scores(tmp_path / "field.csv")}
    before, after = found["overall", "before"], found["overall", "after"]
    assert (after["n"], after["stations"]) == ("48", "8")
    assert abs(float(after["me"])) < 0.5 * abs(float(before["me"]))
    assert "Bias correction report" in (tmp_path / "field.html").read_text(encoding="utf-8")
    given = {"MODEL": tmp_path / "field.smm", "INPUT": chain.spiking}
    run("validate", {**given, "METRICS": tmp_path / "again.csv"})
    again = {(r["scope"], r["group"]): r for r in scores(tmp_path / "again.csv")}
    assert float(again["overall", ""]["rmse"]) == pytest.approx(float(after["rmse"]), rel=1e-6)
    run("modelcard", {"MODEL": tmp_path / "field.smm", "OUTPUT": tmp_path / "card.html"})
    assert "bias correction" in (tmp_path / "card.html").read_text(encoding="utf-8")


def test_spiking_report_shows_the_alternatives(chain: Any) -> None:
    page = (chain.folder / "Feld.html").read_text(encoding="utf-8")
    assert page.count(">bias correction<") == 2
    assert page.count(">residual forest<") == 2
