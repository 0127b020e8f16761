"""The package itself: light to import, and its stub tells the truth."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import hitherto
from hitherto import _native


def test_importing_it_imports_no_frame_library() -> None:
    script = (
        "import sys, time; begun = time.perf_counter(); import hitherto; "
        "print(time.perf_counter() - begun); "
        "print([name for name in ('pandas', 'polars', 'pyarrow', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    took, found = done.stdout.splitlines()
    assert found == "[]", done.stderr
    assert float(took) < 1.0


def test_the_stub_names_what_the_native_module_has() -> None:
    stub = Path(hitherto.__file__).with_name("_native.pyi")
    declared: dict[str, set[str]] = {}
    for node in ast.parse(stub.read_text()).body:
        if isinstance(node, ast.ClassDef):
            members = (item.name for item in node.body if isinstance(item, ast.FunctionDef))
            declared[node.name] = {name for name in members if name != "__init__"}
        elif isinstance(node, ast.FunctionDef):
            declared[node.name] = set()
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            declared[node.target.id] = set()
    public = {name for name in vars(_native) if not name.startswith("__")} | {"__version__"}
    assert public == set(declared)
    for name, members in declared.items():
        found = getattr(_native, name)
        if isinstance(found, type):
            own = {item for item in vars(found) if not item.startswith("__")}
            assert own == {item for item in members if not item.startswith("__")}, name
            assert all(hasattr(found, item) for item in members), name


def test_everything_public_is_documented() -> None:
    for name in hitherto.__all__:
        found = getattr(hitherto, name)
        if isinstance(found, type):
            assert found.__doc__, name
            for member, value in vars(found).items():
                if not member.startswith("_") and (callable(value) or isinstance(value, property)):
                    assert value.__doc__, f"{name}.{member}"
