"""Help texts and the pages made from them, as far as they can be judged without QGIS."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

KEYS = ["summary", "description", "parameters", "outputs", "example"]
CHAIN = (
    "terraincovariates temporalstatistics covariatetable importstations samplecovariates "
    "splitstations selectspiking trainmodel spikemodel predict predictseries validate modelcard"
)
TAGS = re.compile(r"<(?!/?i>)")


@pytest.fixture(scope="module")
def texts(root: Path) -> dict[str, dict]:
    files = sorted((root / "resources" / "help").glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}


def test_every_algorithm_has_help(root: Path, texts: dict[str, dict]) -> None:
    folder = root / "processing_provider" / "algorithms"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert set(texts) == modules
    assert set(CHAIN.split()) <= modules


def test_help_has_its_keys_and_says_something(texts: dict[str, dict]) -> None:
    for name, text in texts.items():
        assert list(text) == KEYS, name
        assert text["description"], name
        sentences = [text["summary"], *text["description"]]
        sentences += [*text["parameters"].values(), *text["outputs"].values()]
        for sentence in sentences:
            assert sentence.strip() == sentence, (name, sentence)
            assert sentence.endswith("."), (name, sentence)
            assert not TAGS.search(sentence), (name, sentence)


def test_summary_is_one_sentence(texts: dict[str, dict]) -> None:
    for name, text in texts.items():
        assert text["summary"].count(".") == 1, name
        assert len(text["summary"]) <= 120, name


def test_examples_call_the_algorithm_with_its_parameters(texts: dict[str, dict]) -> None:
    for name, text in texts.items():
        call = ast.parse(text["example"]).body[0].value
        assert ast.unparse(call.func) == "processing.run"
        assert call.args[0].value == f"soilmoisture:{name}"
        given = {key.value for key in call.args[1].keys}
        assert given <= set(text["parameters"]) | set(text["outputs"]), name


def test_every_algorithm_has_a_page_with_its_texts(root: Path, texts: dict[str, dict]) -> None:
    folder = root / "docs" / "algorithms"
    pages = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    assert set(pages) == {*texts, "README"}
    for name, text in texts.items():
        for paragraph in [text["summary"], *text["description"]]:
            plain = paragraph.replace("<i>", "*").replace("</i>", "*")
            assert plain in pages[name], (name, paragraph)
        for parameter in [*text["parameters"], *text["outputs"]]:
            assert f"`{parameter}`" in pages[name], (name, parameter)
