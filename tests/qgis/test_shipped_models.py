"""The graphical models that come with the plugin are algorithms like the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qgis.core import QgsApplication, QgsProcessingModelAlgorithm


@pytest.fixture(scope="module")
def files(root: Path) -> list[Path]:
    found = sorted((root / "resources" / "models").glob("*.model3"))
    assert found
    return found


def test_models_are_in_the_toolbox_with_their_outputs(provider: Any, files: list[Path]) -> None:
    shown = [a for a in provider.algorithms() if isinstance(a, QgsProcessingModelAlgorithm)]
    assert len(shown) == len(files)
    for model in shown:
        assert model.provider() is provider
        assert model.outputDefinitions(), model.id()
        assert model.canExecute()[0], model.id()
        assert model.validate() == (True, [])
        assert model.shortDescription()
        named = model.shortHelpString()
        inputs = [d for d in model.parameterDefinitions() if not d.isDestination()]
        assert all(d.description() in named for d in inputs if d.name() != "VERBOSE_LOG")


def test_model_is_found_by_id(provider: Any) -> None:
    registry = QgsApplication.processingRegistry()
    model = registry.createAlgorithmById("soilmoisture:Field moisture map")
    assert model is not None
    assert model.name() == "Field moisture map"


def test_models_use_the_chain_by_id(provider: Any, files: list[Path]) -> None:
    used = set()
    for path in files:
        model = QgsProcessingModelAlgorithm()
        assert model.fromFile(str(path))
        used |= {child.algorithmId() for child in model.childAlgorithms().values()}
    chain = {f"soilmoisture:{name}" for name in ("trainmodel", "spikemodel", "predict")}
    assert chain <= used
