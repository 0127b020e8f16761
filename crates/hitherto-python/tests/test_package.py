"""The package itself: light to import, and its stub tells the truth."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import hitherto
from hitherto import _native


def test_importing_it_imports_no_frame_library() -> None:
    heavy = ("pandas", "polars", "pyarrow", "numpy", "torch", "feast", "mlflow", "yaml", "asyncio")
    script = (
        "import sys, time; begun = time.perf_counter(); import hitherto; "
        "print(time.perf_counter() - begun); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )

    def seconds() -> float:
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        took, found = done.stdout.splitlines()
        assert found == "[]", done.stderr
        return float(took)

    # The best of a few: what is measured is the import, not a busy machine.
    assert min(seconds() for _ in range(5)) < 0.2


def test_modules_are_there_when_they_are_named() -> None:
    script = (
        "import hitherto; print(hitherto.aio.connect.__name__, hitherto.plot.freshness.__name__, "
        "hitherto.feast.FeatureStore.__name__, hitherto.mlflow.dataset.__name__, "
        "hasattr(hitherto, 'nothing'))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["connect", "freshness", "FeatureStore", "dataset", "False"], (
        done.stderr
    )


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


def test_the_stub_has_the_parameters_of_the_native_module() -> None:
    stub = Path(hitherto.__file__).with_name("_native.pyi")
    checked = 0
    for node in ast.parse(stub.read_text()).body:
        functions = node.body if isinstance(node, ast.ClassDef) else [node]
        for function in functions:
            if not isinstance(function, ast.FunctionDef) or function.name.startswith("__"):
                continue
            owner = getattr(_native, node.name) if isinstance(node, ast.ClassDef) else _native
            try:
                found = inspect.signature(getattr(owner, function.name))
            except (TypeError, ValueError):
                # A property has none.
                continue
            declared = [argument.arg for argument in function.args.args]
            assert list(found.parameters) == declared, f"{node} {function.name}"
            checked += 1
    assert checked > 20


def test_everything_public_is_documented() -> None:
    modules = [hitherto, hitherto.definitions, hitherto.aio, hitherto.plot, hitherto.mlflow]
    for module in [*modules, hitherto.feast]:
        assert module.__doc__, module
        for name in module.__all__:
            if name.startswith(("OfflineStore", "OnlineStore")):
                continue  # They need feast; their own tests import them.
            found = getattr(module, name)
            if not isinstance(found, type):
                assert not callable(found) or found.__doc__, name
                continue
            assert found.__doc__, name
            for member, value in vars(found).items():
                if not member.startswith("_") and (callable(value) or isinstance(value, property)):
                    assert value.__doc__, f"{name}.{member}"
