"""Covariate names and dates of rasters."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from soil_moisture_mapper.plugin.core.rasters.names import (
    covariate_name,
    date_in_description,
    date_in_name,
    date_in_tag,
    is_nameless,
)

APRIL = date(2021, 4, 1)


@pytest.mark.parametrize(
    ("name", "day", "remainder"),
    [
        ("smap_20210401", APRIL, "smap"),
        ("20210401_smap", APRIL, "smap"),
        ("smap-2021-04-01", APRIL, "smap"),
        ("smap_2021_04_01", APRIL, "smap"),
        ("smap.2021091", APRIL, "smap"),
        ("s1_20210401_vv", APRIL, "s1_vv"),
        ("smap20210401", APRIL, "smap"),
        ("S1A_20210401T052653", APRIL, "S1AT052653"),
        ("ndvi_20211301_20210401", APRIL, "ndvi_20211301"),  # there is no month 13
        ("ndvi_2021000_2021091", APRIL, "ndvi_2021000"),  # nor a day 0
        ("ndvi_2021366", None, "ndvi_2021366"),
        ("ndvi_2020366", date(2020, 12, 31), "ndvi"),
        ("tile_120210401", None, "tile_120210401"),  # nine digits
        ("tile_202104", None, "tile_202104"),
        ("dem_19691231", None, "dem_19691231"),
        ("dem_19700101", date(1970, 1, 1), "dem"),
        ("dem_21001231", date(2100, 12, 31), "dem"),
        ("dem_21010101", None, "dem_21010101"),
        ("a_2021_4_1", None, "a_2021_4_1"),
        ("elevation", None, "elevation"),
        ("20210401", APRIL, ""),
        ("b_20210401_20210402", APRIL, "b_20210402"),  # the first
    ],
)
def test_date_in_name(name, day, remainder):
    assert date_in_name(name) == (day, remainder)


@given(
    st.dates(date(1970, 1, 1), date(2100, 12, 31)),
    st.sampled_from(["%Y%m%d", "%Y-%m-%d", "%Y_%m_%d", "%Y%j"]),
    st.sampled_from(["moisture_{}", "{}_moisture", "moisture-{}", "moisture {}", "moisture.{}"]),
)
def test_every_date_is_found_in_every_form(day, form, pattern):
    assert date_in_name(pattern.format(day.strftime(form))) == (day, "moisture")


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2021-04-01", APRIL),
        (" 2021-04-01T06:00:00Z", APRIL),
        ("20210401", APRIL),
        ("2021-02-30", None),
        ("NDVI 2021-04-01", None),
        ("", None),
        (None, None),
        ("VV", None),
    ],
)
def test_date_in_description(text, day):
    assert date_in_description(text) == day


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2021:04:01 05:26:53", APRIL),
        ("2021-04-01 05:26:53", APRIL),
        ("0000:00:00 00:00:00", None),
        (None, None),
        ("yesterday", None),
    ],
)
def test_date_in_tag(text, day):
    assert date_in_tag(text) == day


@pytest.mark.parametrize(
    ("description", "base", "name"),
    [
        ("VV", "s1_20210401", "VV"),
        (None, "smap_20210401", "smap"),
        ("", "smap_20210401", "smap"),
        ("Band 1", "smap_20210401", "smap"),
        ("2021-04-01", "ndvi_series", "ndvi_series"),
        (" clay ", "soil", "clay"),
        (None, "20210401", "20210401"),
    ],
)
def test_covariate_name(description, base, name):
    assert covariate_name(description, base) == name


def test_nameless_bands():
    assert all(map(is_nameless, (None, "", "  ", "Band 1", "band 12", "Band_3")))
    assert not any(map(is_nameless, ("VV", "2021-04-01", "Band 1: VV", "Bandwidth")))


@given(st.text(max_size=40))
def test_any_text_is_a_name(text):
    day, remainder = date_in_name(text)
    assert (day is None) == (remainder == text)
    assert day is None or abs(day - date(2035, 1, 1)) < timedelta(days=67 * 366)
