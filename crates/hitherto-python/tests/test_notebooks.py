"""The notebooks of docs/start/notebooks: every cell runs, and shows what is stored with it.

Whoever changes one stores what it shows:

    make notebooks
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "start" / "notebooks").glob("*.ipynb"))


def test_there_are_three() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "finding-a-leak",
        "first-training-set",
        "from-training-to-serving",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(path.parent)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    notebook = json.loads(path.read_text("utf-8"))
    assert notebook["nbformat"] == 4
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            shown = run("".join(cell["source"]), names)
            if hasattr(type(shown), "_repr_html_"):
                assert shown._repr_html_().startswith("<div")
            check_stored(cell, shown)


def check_stored(cell: dict[str, Any], shown: object) -> None:
    """What a reader of the repository sees is what running the cell shows."""
    stored = [output.get("data", {}).get("text/plain") for output in cell["outputs"]]
    results = ["".join(text) for text in stored if text is not None]
    assert len(results) >= (shown is not None), "store what the cell shows"
    assert "/tmp/" not in json.dumps(cell["outputs"]), "a path of somebody's machine"
    assert all(output["output_type"] != "error" for output in cell["outputs"])
    if isinstance(shown, (int, float, str, dict, tuple)):
        told = ast.literal_eval(results[-1])
        assert told == shown or told == pytest.approx(shown)


def run(source: str, names: dict[str, Any]) -> object:
    """Runs a cell; what its last line is, if that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)
    if not isinstance(last, ast.Expr):
        return None
    value: object = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    return value
