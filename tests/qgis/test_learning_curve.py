"""The learning curve through QGIS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

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
