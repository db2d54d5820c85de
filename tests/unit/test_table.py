"""The table of points reads what layers and CSV files hold, and names what it cannot read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from soil_moisture_mapper.plugin.core.errors import InputError
from soil_moisture_mapper.plugin.core.stations.table import Table, parse_date


def test_columns_get_one_type_of_missing_each():
    table = Table(
        {
            "number": [1, 2],
            "text": [None, "a"],
            "day": np.array(["2021-04-01", "NaT"], dtype="datetime64[ns]"),
            "flag": [True, False],
        }
    )
    assert table.column("number").dtype == np.float64
    assert table.column("text").tolist() == ["", "a"]
    assert table.column("day").dtype == np.dtype("datetime64[D]")
    assert table.column("flag").tolist() == [1.0, 0.0]
    assert np.isnan(table.x).all()
    assert len(table) == 2


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(InputError, match=r"differ in length: \[1, 2\]"):
        Table({"a": [1.0], "b": [1.0, 2.0]})


def test_unknown_field_lists_the_fields():
    with pytest.raises(InputError, match=r"no field 'vwc'. The fields are: a, b."):
        Table({"a": [1.0], "b": ["x"]}).numeric("vwc")


def test_text_that_parses_is_numeric():
    table = Table({"v": ["0.5", " 1e-1 ", "", "NA", "NaN", "-3", "null"]})
    expected = [0.5, 0.1, np.nan, np.nan, np.nan, -3.0, np.nan]
    np.testing.assert_array_equal(table.numeric("v"), expected)
    assert table.is_numeric("v")
    assert not table.is_numeric("v", text=False)


def test_infinity_is_missing():
    table = Table({"v": [np.inf, 1.0], "t": ["-inf", "1"]})
    np.testing.assert_array_equal(table.numeric("v"), [np.nan, 1.0])
    np.testing.assert_array_equal(table.numeric("t"), [np.nan, 1.0])


@pytest.mark.parametrize("text", ["wet", "1_000", "0.1.2", "1 2"])
def test_text_names_value_row_and_field(text):
    table = Table({"moisture": ["0.2", "", text]})
    with pytest.raises(InputError) as caught:
        table.numeric("moisture")
    assert f"'{text}' in row 3 of the field 'moisture' is not a number" in caught.value.cause
    assert not table.is_numeric("moisture")


def test_decimal_comma_is_named_as_such():
    table = Table({"moisture": ["0.2", "0,231"], "classes": ["1,2,3", "4"]})
    with pytest.raises(
        InputError, match=r"'0,231' in row 2 of the field 'moisture'.*decimal comma"
    ):
        table.numeric("moisture")
    assert table.has_decimal_commas("moisture")
    assert not table.has_decimal_commas("classes")


def test_dates_are_no_numbers():
    with pytest.raises(InputError, match="'day' holds dates"):
        Table({"day": np.array(["2021-04-01"], dtype="datetime64[D]")}).numeric("day")


def test_station_names_from_numbers_and_texts():
    table = Table(
        {
            "number": [12.0, 12.5, np.nan, -3.0],
            "text": ["12.0", " CAF003 ", None, "012"],
            "day": np.array(["2021-04-01", "NaT", "NaT", "NaT"], dtype="datetime64[D]"),
        }
    )
    assert table.text("number").tolist() == ["12", "12.5", "", "-3"]
    assert table.text("text").tolist() == ["12", "CAF003", "", "012"]
    assert table.text("day").tolist() == ["2021-04-01", "", "", ""]


def test_dates_from_iso_texts_and_numbers():
    expected = np.array(["2012-03-25", "2012-03-25", "2012-03-25", "NaT"], dtype="datetime64[D]")
    table = Table(
        {
            "text": ["2012-03-25", "2012-03-25T23:59:00Z", "20120325", ""],
            "number": [20120325, 20120325, 20120325, np.nan],
        }
    )
    np.testing.assert_array_equal(table.dates("text"), expected)
    np.testing.assert_array_equal(table.dates("number"), expected)


@pytest.mark.parametrize("text", ["25.03.2012", "2012-13-01", "2012-02-30", "soon"])
def test_what_is_no_date_is_named(text):
    with pytest.raises(InputError, match="in row 2 of the field 'date' is not a date"):
        Table({"date": ["2012-03-25", text]}).dates("date")


@given(st.dates())
def test_every_day_is_read_as_written(day):
    assert parse_date(day.isoformat()) == np.datetime64(day)


def test_take_and_columns_keep_the_positions():
    table = Table({"a": [1.0, 2.0, 3.0]}, [10.0, 20.0, 30.0], [1.0, 2.0, 3.0], "crs")
    part = table.take(np.array([True, False, True])).with_columns({"b": ["x", "y"], "a": [7, 8]})
    assert part.names == ("a", "b")
    assert part.column("a").tolist() == [7.0, 8.0]
    assert part.x.tolist() == [10.0, 30.0]
    assert part.crs == "crs"
    assert table.take(np.array([2, 0])).column("a").tolist() == [3.0, 1.0]
    assert part.without(["a"]).names == ("b",)
    assert table.column("a").tolist() == [1.0, 2.0, 3.0]
