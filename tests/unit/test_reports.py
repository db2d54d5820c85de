"""Reports: what they say, that they hold together as HTML, and that nothing foreign gets in."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from functools import lru_cache
from html import escape
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from soil_moisture_mapper.plugin.core.errors import InputError
from soil_moisture_mapper.plugin.core.evaluation.anomaly import anomaly_correlation
from soil_moisture_mapper.plugin.core.evaluation.bootstrap import score_intervals
from soil_moisture_mapper.plugin.core.evaluation.metrics import find_row
from soil_moisture_mapper.plugin.core.evaluation.reports import report as blocks
from soil_moisture_mapper.plugin.core.evaluation.reports.figures import (
    importance_figure,
    metres_per_unit,
    residual_map,
    round_length,
    scatter_figure,
)
from soil_moisture_mapper.plugin.core.evaluation.reports.intervals import coverage, station_coverage
from soil_moisture_mapper.plugin.core.evaluation.reports.model_card import model_card, stored_scores
from soil_moisture_mapper.plugin.core.evaluation.reports.spiking_report import spiking_report
from soil_moisture_mapper.plugin.core.evaluation.reports.spiking_verdict import (
    validation_text,
    verdict_text,
)
from soil_moisture_mapper.plugin.core.evaluation.reports.training_report import training_report
from soil_moisture_mapper.plugin.core.evaluation.reports.validation_report import validation_report
from soil_moisture_mapper.plugin.core.evaluation.reports.validation_sections import monthly_scores
from soil_moisture_mapper.plugin.core.evaluation.result_metrics import (
    spiking_metrics,
    training_metrics,
    validation_metrics,
)
from soil_moisture_mapper.plugin.core.evaluation.validation import (
    days_from,
    residual_table,
    validate_model,
)
from soil_moisture_mapper.plugin.core.models.calibration import LEVELS, TAUS
from soil_moisture_mapper.plugin.core.models.heldout import ForestSettings, HeldOut
from soil_moisture_mapper.plugin.core.models.spiking import SpikeSettings, spike_model
from soil_moisture_mapper.plugin.core.models.training import TrainSettings, train_model
from soil_moisture_mapper.plugin.core.models.verdict import Verdict
from soil_moisture_mapper.plugin.core.progress import RecordingProgress
from soil_moisture_mapper.plugin.core.stations.rows import training_rows
from soil_moisture_mapper.plugin.core.stations.table import Table

NASTY = "<b>Süd & 'Co'</b>"
UTM = CRS.from_epsg(32633).to_wkt()
VOID = {"meta", "img", "br"}


def make_rows(prefix, stations, network, offset=0.0, days=10, seed=0, start="2021-05-01"):
    random = np.random.default_rng(seed)
    n = stations * days
    wetness = random.normal(size=n)
    sand = np.repeat(random.normal(size=stations), days)
    moisture = 0.25 + offset + 0.04 * wetness - 0.03 * sand + random.normal(scale=0.01, size=n)
    names = [f"{prefix}{i:02d}" for i in range(stations)]
    names[0] = f"{prefix}{NASTY}"
    place = np.repeat(np.arange(stations) ** 1.5, days) * 100.0
    columns = {
        "station": np.repeat(names, days).astype(object),
        "network": np.repeat([f"{network}{i % 3}" for i in range(stations)], days).astype(object),
        "cover": np.repeat(["<forest>" if i % 2 else "meadow" for i in range(stations)], days),
        "date": np.tile(np.datetime64(start) + np.arange(days), stations),
        "moisture": np.clip(moisture, 0.01, 0.7),
        "wetness": wetness,
        "sand": sand,
    }
    table = Table(columns, 5e5 + place, 5e6 + place[::-1], UTM)
    covariates = ["wetness", "sand"]
    return training_rows(table, covariates=covariates, groups=["cover"], min_stations=1)


@lru_cache(maxsize=1)
def trained():
    settings = TrainSettings(
        forest=ForestSettings(trees=10, min_leaf=3, max_features=0.5),
        tune=True,
        class_fields=("cover",),
        covariate_info={"sand": ("soil", "%")},
        inputs={"table": "größe <1>.csv"},
    )
    return train_model(make_rows("g", 12, "n"), settings)


@lru_cache(maxsize=2)
def spiked(stations=8, validate=8):
    local = make_rows("p", stations, "field", offset=0.1, seed=1)
    validation = make_rows("v", validate, "field", offset=0.1, seed=2) if validate else None
    return spike_model(trained().model, local, SpikeSettings(), validation=validation)


class Reader(HTMLParser):
    """Collects text, tables and addresses, and checks that every tag is closed in turn."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.sources, self.rows, self.texts = [], set(), [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.sources += [v for k, v in attributes if k in ("src", "href", "data", "action")]
        assert not [k for k, _ in attributes if k.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.texts.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def row(self, *first):
        return next(row for row in self.rows if tuple(row[: len(first)]) == first)


def read(path):
    reader = Reader()
    page = path.read_text(encoding="utf-8")
    reader.feed(page)
    assert reader.open == []
    assert page.startswith("<!DOCTYPE html>")
    return reader


def check_self_contained(path):
    reader = read(path)
    assert not reader.tags & {"script", "link", "iframe", "object", "b>"}
    assert reader.sources
    for source in reader.sources:
        assert source.startswith("data:image/svg+xml;base64,")
        svg = base64.b64decode(source.split(",", 1)[1])
        assert ElementTree.fromstring(svg).tag.endswith("svg")  # noqa: S314 (written here)
        assert b"<script" not in svg
    page = path.read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href|url)\s*[=(]\s*[\"']?https?:", page)
    return reader


@pytest.fixture
def page(tmp_path):
    return tmp_path / "größer als.html"


def test_numbers_have_three_decimals_and_a_real_minus():
    assert blocks.number(0.0684) == "0.068"
    assert blocks.number(-0.0684) == "−0.068"
    assert blocks.number(0.0684, signed=True) == "+0.068"
    assert blocks.number(-0.0001) == "0.000"
    assert blocks.number(None) == blocks.number(float("nan")) == "–"
    assert blocks.number(float("inf")) == "∞"
    assert blocks.percent(0.905) == "90\u202f%"
    assert blocks.count(12345) == "12\u202f345"
    assert blocks.plural(1, "row") == "1 row"
    assert blocks.plural(2, "row") == "2 rows"
    assert blocks.moment("2021-05-01T09:30:12+00:00") == "2021-05-01 09:30 UTC"


@given(st.text(alphabet="<>&\"' abcäß;/", max_size=30))
def test_text_of_the_user_is_only_ever_text(text):
    html = blocks.page(text, text, blocks.table(["a"], [[text]]), blocks.facts([(text, text)]))
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    assert "b" not in reader.tags
    assert reader.row(text) == [text] or not text.strip()


def test_html_is_not_escaped_twice():
    assert blocks.paragraph("a < b ", blocks.strong("c & d")) == (
        "<p>a &lt; b <strong>c &amp; d</strong></p>"
    )


def test_training_report_is_self_contained_and_says_what_the_metrics_say(page):
    found = training_report(trained(), page, warnings=["Achtung <1>: 3 rows & more"])
    reader = check_self_contained(page)
    overall = find_row(training_metrics(trained()), "overall", "model")
    cells = reader.row("all rows", "120", "12")
    assert cells[3] == blocks.number(overall["me"], signed=True)
    assert cells[5] == blocks.number(overall["rmse"])
    assert cells[8] == blocks.percent(overall["picp90"])
    assert "Achtung <1>: 3 rows & more" in reader.text
    assert "größe <1>.csv" in reader.text
    assert f"g{NASTY}" in [row[0] for row in reader.rows]
    assert "<forest>" in [row[0] for row in reader.rows]
    assert "not for the mean of the pixel" in reader.text
    for heading in ("Data", "Skill in networks not seen", "Tuning", "Covariates", "Versions"):
        assert heading in reader.texts
    assert {item.covariate for item in found} == {"sand", "wetness"}
    assert found[0].value >= found[1].value > 0


def test_a_name_stands_in_the_page_in_its_escaped_form_only(page):
    training_report(trained(), page)
    text = page.read_text(encoding="utf-8")
    assert NASTY not in text
    assert escape(NASTY) in text


def test_coverage_is_counted_by_hand():
    rows = make_rows("g", 2, "n", days=2)
    raw = np.tile(np.asarray(TAUS) - 0.5, (4, 1)) * 0.2 + rows.y[:, None]
    raw[0] += 0.055  # the 50 % interval reaches 0.05 either way, the 60 % interval 0.06
    raw[1] += 1.0
    held = HeldOut(rows, rows.y, np.zeros(4), raw)
    inside, width = coverage(held, calibrated=False)
    assert inside == [0.5 if level == 0.5 else 0.75 for level in LEVELS]
    assert width == pytest.approx([0.2 * level for level in LEVELS])
    assert station_coverage(held) is None
    assert station_coverage(replace(held, calibrated=raw)) == pytest.approx(0.75)


def test_spiking_metrics_put_before_first_and_loso_last():
    rows = spiking_metrics(spiked())
    sources = [row["source"] for row in rows]
    assert sources == sorted(sources, reverse=True)
    assert set(sources) == {"before", "after"}
    before = [row["scope"] for row in rows if row["source"] == "before"]
    assert before[0] == "overall"
    assert before[-1] == "spike_loso"
    loso = find_row(rows, "spike_loso", "after")
    held = spiked().loso_after
    assert loso["rmse"] == pytest.approx(np.sqrt(np.mean((held.mean - held.rows.y) ** 2)))
    assert (loso["n"], loso["stations"]) == (80, 8)
    assert find_row(rows, "spike_loso", "after", "cover=<forest>")["stations"] == 4


def test_spiking_report_opens_with_the_verdict(page):
    spiking_report(spiked(), page, warnings=["mind"])
    reader = check_self_contained(page)
    after_header = reader.text.split("model of 120 rows", 1)[1].strip()
    assert after_header.startswith("Spiking helps here: at the 8 spike stations")
    assert "expected, not guaranteed" in reader.text
    assert "not for the mean of the pixel" in reader.text
    assert "within 15 days" in reader.text
    assert "Descriptive" in reader.text
    rows = spiking_metrics(spiked())
    place = reader.rows.index(reader.row("all spike stations"))
    for shift, source in enumerate(("before", "after")):
        row = find_row(rows, "spike_loso", source)
        cells = reader.rows[place + shift][2:]
        assert cells[4] == blocks.number(row["rmse"])
        assert cells[7] == blocks.percent(row["picp90"])
    assert reader.rows[place + 2][1] == "local only"
    assert len([row for row in reader.rows if row[0] in ("pooled", "25\u202f%")]) >= 1
    tests = [row for row in reader.rows if row[0] == "validate stations"]
    assert [row[1] for row in tests] == ["|ME|", "RMSE"]
    # eight stations that all gain: the smallest exact two-sided p is 2/2⁸
    assert tests[0][-1] == "0.008"


def test_nine_spike_stations_need_no_such_caution(page):
    nothing = {"validate_before": None, "validate_after": None, "validate_local": None}
    result = replace(spiked(), spikes=make_rows("p", 9, "field"), **nothing)
    spiking_report(result, page)
    reader = check_self_contained(page)
    assert "expected, not guaranteed" not in reader.text
    assert "no rows of the role validate" in reader.text


def test_below_four_stations_the_report_says_that_nothing_can_be_learned(page):
    result = spiked(3, 0)
    spiking_report(result, page)
    text = read(page).text
    assert "With 3 spike stations it cannot be told whether spiking helps" in text
    assert spiking_metrics(result) == []


@pytest.mark.parametrize(
    ("verdict", "first", "second"),
    [
        (Verdict(8, 2.5, 0.3), "Spiking helps here: ", "readings alone is no"),
        (Verdict(8, 1.5, 0.3), "Spiking probably helps here: ", "alone is no"),
        (Verdict(8, 0.5, 1.2), "It is not shown that spiking helps here: ", "may do better: "),
        (Verdict(5, 2.5, float("nan")), "Spiking helps here: ", "is judged from 6"),
    ],
)
def test_verdicts_in_plain_words(verdict, first, second):
    spikes = make_rows("p", verdict.stations, "field")
    texts = verdict_text(replace(spiked(), verdict=verdict, spikes=spikes))
    assert texts[0].startswith(first)
    assert second in texts[1]


def test_validate_stations_that_disagree_are_trusted_more():
    result = spiked()
    scores = [
        {"scope": "overall", "group": "", "source": s, "n": 9, "stations": 3, "me": 0.0, "rmse": e}
        for s, e in (("before", 0.05), ("after", 0.06))
    ]
    assert validation_text(result, scores).endswith("trust these stations more.")
    assert "bears the verdict out" in validation_text(result, spiking_metrics(result))
    assert validation_text(result, []) == ""


def test_validation_sets_the_model_beside_the_baseline(page):
    rows = make_rows("v", 8, "field", seed=5)
    smap = rows.y + 0.08
    smap[:7] = np.nan
    progress = RecordingProgress()
    result = validate_model(
        trained().model, rows, baseline=smap, baseline_name="smap <L3>", progress=progress
    )
    metrics = validation_metrics(result)
    assert [row["source"] for row in metrics] == sorted(
        (r["source"] for r in metrics), reverse=True
    )
    baseline = find_row(metrics, "overall", "baseline")
    assert (baseline["n"], baseline["picp90"]) == (73, None)
    assert baseline["me"] == pytest.approx(0.08)
    validation_report(result, page, warnings=progress.warnings)
    reader = check_self_contained(page)
    assert "The model errs less than smap <L3>" in reader.text
    assert reader.row("smap <L3>", "73")[3] == "+0.080"
    assert reader.row("model", "73")
    assert "missing in 7 of 80 rows" in reader.text


def test_months_are_scored_one_by_one_and_long_periods_by_calendar_month():
    rows = make_rows("v", 4, "field", days=90, seed=5)  # from 1 May to 29 July
    held = validate_model(trained().model, rows).held
    error = held.mean - rows.y
    found = dict(monthly_scores(held))
    assert list(found) == ["2021-05", "2021-06", "2021-07"]
    june = rows.date.astype("datetime64[M]") == np.datetime64("2021-06")
    assert found["2021-06"]["n"] == 4 * 30
    assert found["2021-06"]["me"] == pytest.approx(error[june].mean())
    assert found["2021-06"]["rmse"] == pytest.approx(np.sqrt(np.mean(error[june] ** 2)))
    years = make_rows("v", 1, "field", days=3 * 365, seed=5)
    assert [name for name, _ in monthly_scores(validate_model(trained().model, years).held)] == [
        *("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    ]


def test_residuals_are_predicted_less_measured():
    rows = make_rows("v", 4, "field", seed=5)
    table = residual_table(validate_model(trained().model, rows))
    error = table.numeric("predicted") - table.numeric("measured")
    assert table.numeric("residual") == pytest.approx(error)
    inside = (table.numeric("q05") <= rows.y) & (rows.y <= table.numeric("q95"))
    assert table.numeric("inside").tolist() == inside.astype(float).tolist()
    assert np.array_equal(table.x, rows.x)
    assert table.text("cover").tolist() == rows.classes["cover"].tolist()


def test_an_uncalibrated_model_has_no_calibrated_interval(page):
    model = replace(trained().model, calibration=None)
    result = validate_model(model, make_rows("v", 4, "field", seed=5))
    assert find_row(validation_metrics(result), "overall", "model")["picp90"] is None
    assert np.isnan(residual_table(result).numeric("q05")).all()
    validation_report(result, page)
    assert "The model holds no calibration" in read(page).text


def warnings_of(model, rows):
    progress = RecordingProgress()
    validate_model(model, rows, progress=progress)
    return " ".join(progress.warnings)


def test_validation_warns_of_what_scores_do_not_show():
    own = make_rows("g", 12, "n")
    assert "12 of 12 stations are among the model's training stations" in warnings_of(
        trained().model, own
    )
    late = make_rows("v", 4, "field", seed=5, start="2021-05-20")
    # readings until 10 May; 26 to 29 May are more than 15 days away
    assert "16 of 40 rows are more than 15 days" in warnings_of(spiked().model, late)
    far = replace(late, X=late.X + np.float32(100))
    assert "100 % of the rows have a covariate outside the range" in warnings_of(
        trained().model, far
    )
    deep = replace(late, depth=(0.3, 0.3))
    assert "The readings are from 0.3 to 0.3 m" in warnings_of(
        replace(trained().model, depth=(0.0, 0.05)), deep
    )


def test_the_model_finds_its_covariates_by_name():
    rows = make_rows("v", 4, "field", seed=5)
    turned = replace(rows, X=rows.X[:, ::-1], covariates=rows.covariates[::-1])
    one, other = validate_model(trained().model, rows), validate_model(trained().model, turned)
    assert np.array_equal(one.held.mean, other.held.mean)
    with pytest.raises(InputError, match="lacks the covariates wetness of the model"):
        validate_model(trained().model, replace(rows, X=rows.X[:, :1], covariates=("sand",)))


@pytest.mark.parametrize(
    ("value", "message"),
    [(35.0, "it looks like percent"), (np.nan, "has no value in the rows to validate")],
)
def test_a_baseline_that_cannot_be_scored_is_refused(value, message):
    rows = make_rows("v", 4, "field", seed=5)
    with pytest.raises(InputError, match=message):
        validate_model(trained().model, rows, baseline=np.full(len(rows), value))


def test_days_from_the_nearest_reading():
    days = np.array(["2021-05-01", "2021-05-20", "2021-06-30"], dtype="datetime64[D]")
    known = np.array(["2021-05-25", "2021-05-10"], dtype="datetime64[D]")
    assert days_from(days, known).tolist() == [9, 5, 36]


def test_model_card_of_a_spiked_model(page):
    result = spiked()
    model = replace(result.model, metrics=tuple(spiking_metrics(result)))
    model_card(model, page, name="Ä <field>.smm")
    reader = check_self_contained(page)
    assert "Model card: Ä <field>.smm" in reader.text
    assert "spiked with local readings" in reader.text
    assert reader.row("sand", "soil", "%")
    assert "2021-05-01, 2021-05-02" in reader.text
    assert "Step 2: spikemodel" in reader.text
    assert reader.row("all rows", "before", "80")


def test_model_card_survives_what_a_foreign_file_may_hold(page):
    strange = (
        {"scope": "overall", "group": "", "source": "model", "n": 3, "rmse": "<script>"},
        {"scope": 3, "group": [], "source": None},
        {"scope": "overall", "group": "", "source": "<i>", "n": 4, "rmse": 0.5},
    )
    model = replace(
        trained().model,
        metrics=strange,
        provenance={"steps": "none", "version": ["<script>"], "created": 5},
        training=None,
        hyperparameters={"<script>": {"a": None}},
        calibration=None,
    )
    model_card(model, page)
    reader = check_self_contained(page)
    assert "it cannot be spiked" in reader.text
    assert [row["source"] for row in stored_scores(model)] == ["model", "<i>"]
    assert stored_scores(model)[0]["rmse"] is None


def test_an_earlier_report_stays_where_writing_fails(page, monkeypatch):
    page.write_text("earlier", encoding="utf-8")
    monkeypatch.setattr(blocks, "atomic_path", broken_path)
    with pytest.raises(OSError, match="full"):
        blocks.write_page(blocks.Html("<p>"), page)
    assert page.read_text(encoding="utf-8") == "earlier"


def broken_path(path):
    raise OSError("full")


def test_units_of_a_map():
    assert metres_per_unit(UTM, 0.0) == (1.0, 1.0)
    assert metres_per_unit(CRS.from_epsg(2227).to_wkt(), 0.0)[0] == pytest.approx(0.3048006096)
    east, north = metres_per_unit(CRS.from_epsg(4326).to_wkt(), 60.0)
    assert east / north == pytest.approx(0.5)
    assert north == pytest.approx(111_320)
    assert metres_per_unit("", 0.0) == (0.0, 0.0)
    assert metres_per_unit(CRS.from_epsg(32633).to_wkt(version="WKT2_2019"), 0.0) == (1.0, 1.0)


@given(st.floats(1e-3, 1e7))
def test_scale_bars_have_round_lengths(width):
    length = round_length(width)
    assert width / 2.5 < length <= width * (1 + 1e-6)
    assert f"{length:.0e}"[0] in "125"


def test_many_points_become_hexagons_and_few_stay_dots():
    values = np.random.default_rng(1).uniform(0, 0.5, 5000)
    few, many = scatter_figure(values[:50], values[:50]), scatter_figure(values, values)
    assert len(many.axes) == 2  # a colour bar beside
    assert len(few.axes) == 1
    assert len(blocks.picture(many, "", "")) < 400_000


def test_figures_stand_missing_positions_and_names_that_look_like_mathematics():
    x = np.array([0.0, 1.0, np.nan])
    html = blocks.picture(
        residual_map(x, x, np.array([0.1, -0.1, 0.2]), "", ["a$_1$", r"\frac", "c"]), "", "map"
    )
    svg = base64.b64decode(re.search(r"base64,([^\"]+)", html).group(1)).decode()
    assert "a$_1$" in svg
    assert r"\frac" in svg
    assert importance_figure(["$x$", "y"], [0.1, 0.2]).axes[0].get_yticklabels()


def test_validation_says_how_certain_scores_are_and_draws_stations(tmp_path):
    rows = make_rows("w", 9, "field", offset=0.05, seed=4)
    result = validate_model(trained().model, rows, baseline=rows.y * 0.8, baseline_name="smap")
    path = tmp_path / "validation.html"
    validation_report(result, path)
    reader = read(path)
    found = reader.row("all rows", "90", "9")
    held = result.held
    expected = score_intervals(rows.y, held.mean, rows.station)["rmse"]
    rmse = np.sqrt(np.mean((held.mean - rows.y) ** 2))
    ends = f"{blocks.number(expected.low)} … {blocks.number(expected.high)}"
    assert found[4] == f"{blocks.number(rmse)} ({ends})"
    for part in (
        "Scores of stations",
        "Stations over time",
        "Distance to the training rows",
        "Where the errors are",
        "Where the model beats smap, and where not",
        "Intervals by cover",
    ):
        assert part in reader.text
    assert "Errors over the year" not in reader.text  # ten days of one month
    rows_of_metrics = validation_metrics(result)
    overall = find_row(rows_of_metrics, "overall", "model")
    r, n = anomaly_correlation(rows.y, held.mean, rows.date, rows.station)
    assert (overall["anomaly_r"], overall["anomaly_n"]) == (r, n)
    few = validate_model(trained().model, make_rows("f", 3, "field", seed=5))
    validation_report(few, path)
    assert "fewer than 6 stations no interval" in read(path).text
