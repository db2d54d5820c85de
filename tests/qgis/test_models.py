"""The algorithms that make and judge models: runs and wrong input."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qgis.core import QgsProcessingException, QgsVectorLayer

FAST = {"TREES": 10, "MIN_LEAF": 3}


def overall(rows: list[dict[str, str]], scope: str, source: str) -> dict[str, float]:
    row = next(r for r in rows if (r["scope"], r["group"], r["source"]) == (scope, "", source))
    return {key: float(row[key]) for key in ("n", "stations", "rmse", "me", "r2", "picp90")}


def test_training_outputs(chain: Any, scores: Callable) -> None:
    rows = scores(chain.folder / "model.csv")
    found = overall(rows, "overall", "model")
    assert found["rmse"] == pytest.approx(chain.trained["RMSE"], rel=1e-9)
    assert found["r2"] == pytest.approx(chain.trained["R2"], rel=1e-9)
    assert found["rmse"] < 0.05
    assert (found["n"], found["stations"]) == (15 * 6, 15)
    scopes = {row["scope"] for row in rows}
    assert {"overall", "network", "class", "season", "station"} <= scopes
    assert {"landcover=wet", "landcover=dry"} <= {row["group"] for row in rows}
    page = (chain.folder / "model.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_model_remembers_units_groups_and_classes(chain: Any) -> None:
    from soil_moisture_mapper.plugin.core.models.modelfile import load_model

    model = load_model(chain.model)
    groups = {covariate.name: covariate.group for covariate in model.covariates}
    assert groups["clay"] == "soil"
    assert groups["wet"] == "smap"
    assert model.class_fields == ("landcover",)
    assert model.provenance["version"] == "0.1.0"
    assert "fid" not in groups
    assert model.metrics


def test_model_file_holds_no_code(chain: Any) -> None:
    with zipfile.ZipFile(chain.model) as archive:
        suffixes = {Path(name).suffix for name in archive.namelist()}
    assert suffixes == {".json", ".npy"}


def test_rows_and_columns_in_any_order_give_the_same_model(
    run: Callable, chain: Any, tmp_path: Path
) -> None:
    from soil_moisture_mapper.plugin.core.models.modelfile import load_model

    layer = QgsVectorLayer(str(chain.split), "split", "ogr")
    features = list(layer.getFeatures())
    names = [field.name() for field in layer.fields()]
    turned = QgsVectorLayer("Point?crs=EPSG:32633", "turned", "memory")
    turned.dataProvider().addAttributes(
        [layer.fields().field(name) for name in reversed(names) if name != "fid"]
    )
    turned.updateFields()
    for feature in reversed(features):
        attributes = feature.attributes()[::-1]
        feature.setFields(turned.fields())
        feature.setAttributes(attributes[: len(names) - 1])
        turned.dataProvider().addFeature(feature)
    assert turned.featureCount() == len(features)
    run("trainmodel", {"INPUT": chain.split, **FAST, "OUTPUT": tmp_path / "a.smm"})
    run("trainmodel", {"INPUT": turned, **FAST, "OUTPUT": tmp_path / "b.smm"})
    first, second = (load_model(tmp_path / name) for name in ("a.smm", "b.smm"))
    assert first.names == second.names
    one, other = (forest_bytes(model.forest) for model in (first, second))
    assert one == other
    margins = [model.calibration.station.values for model in (first, second)]
    assert np.array_equal(*margins)


def forest_bytes(forest: Any) -> list[bytes]:
    """Return the arrays of a forest and of the rows in its leaves."""
    parts = (forest, forest.store)
    found = [getattr(part, item.name) for part in parts for item in dataclasses.fields(part)]
    return [array.tobytes() for array in found if isinstance(array, np.ndarray)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"TARGET": "water"}, "There is no field 'water'. The fields are: "),
        ({"COVARIATES": ["clay", "peat"]}, "The table has no field for the covariates: peat. "),
        ({"COVARIATES": ["clay", "moisture"]}, "Not a covariate: moisture. "),
        ({"TARGET": "landcover"}, "The value 'dry' in row 1 of the field 'landcover' is "),
        ({"TARGET": "elevation"}, "The field 'elevation' holds values up to "),
        ({"TREES": 0}, "Unable to execute algorithm\nIncorrect parameter value for TREES"),
        ({"INPUT": "nowhere.gpkg"}, "Unable to execute algorithm\n"),
    ],
)
def test_training_refuses(
    run: Callable, chain: Any, tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    outputs = {"OUTPUT": tmp_path / "a.smm", "REPORT": tmp_path / "a.html"}
    with pytest.raises(QgsProcessingException) as caught:
        run("trainmodel", {"INPUT": chain.split, **FAST, **given, **outputs})
    assert str(caught.value).startswith(message), caught.value
    assert not list(tmp_path.iterdir())


def test_target_in_other_units_is_refused(run: Callable, chain: Any, tmp_path: Path) -> None:
    import processing

    table = processing.run(
        "native:fieldcalculator",
        {
            "INPUT": str(chain.split),
            "FIELD_NAME": "saturation",
            "FIELD_TYPE": 0,
            "FORMULA": '"moisture" / 0.45',
            "OUTPUT": "memory:",
        },
    )["OUTPUT"]
    with pytest.raises(QgsProcessingException, match="'saturation' follows the target"):
        run("trainmodel", {"INPUT": table, **FAST, "OUTPUT": tmp_path / "a.smm"})


def test_spiking_mends_the_bias(chain: Any, scores: Callable) -> None:
    rows = scores(chain.folder / "Feld.csv")
    before, after = (overall(rows, "overall", source) for source in ("before", "after"))
    assert (after["n"], after["stations"]) == (8 * 6, 8)
    assert abs(after["me"]) < 0.5 * abs(before["me"])
    assert after["rmse"] < before["rmse"]
    assert after["picp90"] > 0.85
    assert rows[0]["source"] == "before"
    assert {"spike_loso", "overall"} <= {row["scope"] for row in rows}
    assert "<script" not in (chain.folder / "Feld.html").read_text(encoding="utf-8")


def test_covariates_that_no_map_has_are_told(
    run: Callable, chain: Any, feedback: Any, tmp_path: Path
) -> None:
    """A station's own figures, such as the mean of its readings, lie in no raster."""
    import processing

    table = str(tmp_path / "extended.gpkg")
    given = {"FIELD_NAME": "station_mean", "FIELD_TYPE": 0, "FORMULA": 'length("station")+"clay"'}
    given = {"INPUT": str(chain.split), **given, "OUTPUT": table}
    processing.run("native:fieldcalculator", given)
    for algorithm, output in (("trainmodel", "a.smm"), ("rankcovariates", "a.csv")):
        heard = feedback()
        inputs = {"INPUT": table, "COVARIATE_TABLE": chain.covariates, **FAST}
        run(algorithm, {**inputs, "OUTPUT": tmp_path / output}, heard)
        told = [text for text in heard.warned if "COVARIATE_TABLE does not list" in text]
        assert len(told) == 1
        assert told[0].startswith("COVARIATE_TABLE does not list station_mean: ")


def test_verdict_and_scores_stand_in_the_log(
    run: Callable, chain: Any, feedback: Any, tmp_path: Path
) -> None:
    given = {"MODEL": chain.model, "INPUT": chain.spiking, "OUTPUT": tmp_path / "a.smm"}
    for more, first in (
        ({"WEIGHT": 3.0}, "A local row weighs 3 times as much as a global one."),
        ({"METHOD": "bias"}, "The bias correction helps here: at the 8 spike stations"),
    ):
        heard = feedback()
        run("spikemodel", {**given, **more}, heard)
        said = "\n".join(heard.said)
        assert first in said
        assert "RMSE" in said and "m³ m⁻³" in said
    heard = feedback()
    judged = {"MODEL": chain.spiked, "INPUT": chain.spiking, "BASELINE": "wet"}
    run("validate", {**judged, "METRICS": tmp_path / "a.csv"}, heard)
    lines = [text for text in heard.said if text.endswith("48 rows of 8 stations.")]
    assert [text.split(":")[0] for text in lines] == ["Model", "wet"]


def test_spiking_refuses_a_model_without_rows(
    run: Callable, refused: Callable, chain: Any, tmp_path: Path
) -> None:
    bare = tmp_path / "bare.smm"
    run("trainmodel", {"INPUT": chain.split, **FAST, "EMBED_TRAINING": False, "OUTPUT": bare})
    assert bare.stat().st_size < chain.model.stat().st_size
    refused(
        "spikemodel",
        {"MODEL": bare, "INPUT": chain.spiking, "OUTPUT": tmp_path / "out.smm"},
        "The model holds no training rows, so it cannot be refitted with local ones. "
        "Train it again with EMBED_TRAINING, or set METHOD to bias: that corrects the bias of "
        "the model and needs none.",
    )
    refused(
        "selectspiking",
        {"INPUT": chain.local, "BASE_MODEL": bare, "OUTPUT": "memory:"},
        "The model holds no training rows, so what it covers cannot be told. "
        "Train it again with EMBED_TRAINING.",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["bare.smm"]


def test_damaged_model_is_refused(run: Callable, chain: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.smm"
    broken.write_bytes(chain.model.read_bytes()[:5000])
    with pytest.raises(QgsProcessingException, match=r"broken\.smm"):
        run("modelcard", {"MODEL": broken, "OUTPUT": tmp_path / "card.html"})
    assert not (tmp_path / "card.html").exists()


def test_validation(
    run: Callable, chain: Any, tmp_path: Path, scores: Callable, rows_of: Callable
) -> None:
    result = run(
        "validate",
        {
            "MODEL": chain.spiked,
            "INPUT": chain.spiking,
            "BASELINE": "wet",
            "REPORT": tmp_path / "report.html",
            "METRICS": tmp_path / "scores.csv",
            "RESIDUALS": tmp_path / "residuals.gpkg",
        },
    )
    assert set(result) == {"REPORT", "METRICS", "RESIDUALS"}
    rows = scores(tmp_path / "scores.csv")
    spiked = scores(chain.folder / "Feld.csv")
    model, after = overall(rows, "overall", "model"), overall(spiked, "overall", "after")
    assert model == pytest.approx(after, rel=1e-6)
    assert {row["source"] for row in rows} == {"model", "baseline"}
    residuals = rows_of(tmp_path / "residuals.gpkg")
    assert len(residuals) == 48
    for row in residuals:
        assert row["residual"] == pytest.approx(row["predicted"] - row["measured"])
        assert {"x", "y", "station", "date"} <= set(row)


def test_validation_without_such_a_role_lists_those_found(
    refused: Callable, chain: Any, tmp_path: Path
) -> None:
    refused(
        "validate",
        {
            "MODEL": chain.model,
            "INPUT": chain.spiking,
            "ROLE": "judge",
            "METRICS": tmp_path / "a.csv",
        },
        "No row has the role judge; the roles found are: spike (48 rows), validate (48 rows). "
        "Set the field 'role' of the rows to use.",
    )


def test_validation_of_all_rows(
    run: Callable, chain: Any, tmp_path: Path, scores: Callable
) -> None:
    given = {"MODEL": chain.model, "INPUT": chain.spiking, "ROLE": ""}
    run("validate", {**given, "METRICS": tmp_path / "a.csv"})
    assert overall(scores(tmp_path / "a.csv"), "overall", "model")["n"] == 96


def test_model_card(run: Callable, chain: Any, tmp_path: Path) -> None:
    result = run("modelcard", {"MODEL": chain.spiked, "OUTPUT": tmp_path / "card.html"})
    page = Path(result["OUTPUT"]).read_text(encoding="utf-8")
    assert "Feld.smm" in page
    assert "clay" in page
    assert "<script" not in page


def test_forest_without_quantiles(run: Callable, chain: Any, tmp_path: Path) -> None:
    result = run(
        "trainmodel",
        {"INPUT": chain.split, "METHOD": "rf", **FAST, "OUTPUT": tmp_path / "rf.smm"},
    )
    assert result["RMSE"] < 0.06
    assert set(result) == {"OUTPUT", "RMSE", "R2"}
