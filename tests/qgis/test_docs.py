"""The pages of the algorithms are those that the help texts make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import make_docs


def test_pages_are_up_to_date(provider: Any, root: Path) -> None:
    folder = root / "docs" / "algorithms"
    algorithms = [a for a in provider.algorithms() if hasattr(a, "ID")]
    expected = {a.name(): make_docs.page_of(a) for a in algorithms}
    expected["README"] = make_docs.contents_of(algorithms)
    found = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    assert found == expected, "run scripts/make_docs.py"
