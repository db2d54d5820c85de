"""The benchmark of applicability notices wrong values and forms its table; no speed is measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from soil_moisture_mapper.benchmarks import applicability, data, endtoend
from soil_moisture_mapper.benchmarks.found import Found
from soil_moisture_mapper.benchmarks.table import Target

NAME = next(iter(applicability.WEIGHTS))


@pytest.mark.parametrize("name", list(applicability.WEIGHTS))
def test_checks_pass_and_fail(name):
    space = applicability.training_space(name, 1000, 20)
    pixels = data.random_pixels(60)
    checks = applicability.check_exact(space, pixels, 0.5, name)
    assert len(checks) == 4 and all(check.exact for check in checks)
    brute = applicability.search_brute(space, pixels, 0.5)
    moved = replace(space, mean_distance=space.mean_distance * 1.001)
    assert not np.allclose(brute[0], moved.dissimilarity(pixels), rtol=1e-6)


def test_child_maps_what_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(applicability, "ROWS", 1000)
    endtoend.write_covariates(tmp_path, 64, 48)
    found = applicability.child_applicability(str(tmp_path), "64", "48", NAME)
    assert found["seconds"] > 0 and found["peak"] > 50
    assert (tmp_path / "applicability.tif").exists()


def test_table():
    found = Found((Target("speed", 10, 12.34),), (("map", "3 s"),))
    lines = found.form("area of applicability").splitlines()
    assert [len(line) for line in lines] == [len(lines[0])] * len(lines)
    assert "12.3 ×" in lines[2] and "yes" in lines[2] and "3 s" in lines[3]
