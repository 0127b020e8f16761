"""The command `hitherto` as the wheel has it: out of the Python module."""

from __future__ import annotations

import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import hitherto
import pytest
from hitherto import __main__, _native


def run(*words: str, python: tuple[str, ...] = ("-m", "hitherto")) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *python, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_it_answers_by_the_name_that_is_typed() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"hitherto {hitherto.__version__}\n")
    assert "Usage: hitherto [OPTIONS] <COMMAND>" in run("--help").stdout


def test_exit_codes_and_streams_are_the_binary_s() -> None:
    refused = run("materialise")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "materialize" in refused.stderr
    missing = run("--output", "json", "inspect", "--repo", "/nowhere")
    assert (missing.returncode, missing.stdout) == (3, "")
    assert missing.stderr.startswith('{"error":{"kind":"not_found"')
    # Asked for in JSON, and not to be parsed: the words are the command's, not Python's.
    unparsed = run("--output", "json", "materialise")
    assert unparsed.returncode == 2
    assert unparsed.stderr.startswith('{"error":{"kind":"invalid"')


def test_the_entry_point_is_this_function() -> None:
    project = Path(hitherto.__file__).parents[2] / "pyproject.toml"
    declared = 'hitherto = "hitherto.__main__:main"'
    if project.exists():
        assert declared in project.read_text()
    else:
        [script] = metadata.entry_points(group="console_scripts", name="hitherto")
        assert script.load() is __main__.main


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_server_stops_at_a_signal(which: signal.Signals, repository: Path) -> None:
    command = [sys.executable, "-m", "hitherto", "serve", "--listen", "127.0.0.1:0"]
    command += ["--read-only", "--output", "json", "--repo", str(repository)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert '"url"' in process.stdout.readline()
    process.send_signal(which)
    assert process.wait(timeout=30) == 0


def test_a_command_that_listens_for_nothing_is_ended_by_ctrl_c(endless: Path) -> None:
    command = [sys.executable, "-m", "hitherto", "materialize", "--repo", str(endless)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    # Its first line of progress: it is at work.
    assert process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == -signal.SIGINT


def test_the_allocator_is_python_s() -> None:
    # What jemalloc's messages begin with: it is for the binary alone.
    assert b"<jemalloc>" not in Path(_native.__file__ or "").read_bytes()


def test_the_demo_builds_its_training_set_in_this_python(tmp_path: Path) -> None:
    done = run("demo", "--dir", str(tmp_path / "icu"))
    assert done.returncode == 0, done.stderr
    assert f"{sys.executable} training_set.py" in done.stderr
    assert "training rows" in done.stdout


def test_the_demo_needs_no_package_beside_it(tmp_path: Path) -> None:
    # As in an empty environment: a Python that finds this package and no other.
    package = Path(hitherto.__file__).parents[1]
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nPYTHONPATH={package} exec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    script = (
        f"import sys; sys.path.insert(0, {str(package)!r}); from hitherto import _native; "
        f"sys.exit(_native.main(['hitherto', *sys.argv[1:]], {str(bare)!r}))"
    )
    done = run("demo", python=("-c", script))
    assert done.returncode == 0, done.stderr
    assert f"{bare} -m pip install pyarrow pandas" in done.stderr
    assert "training rows" in done.stdout
    asked = run("demo", "--python", str(bare))
    assert asked.returncode == 2
    assert asked.stderr.endswith(f"run {bare} -m pip install pyarrow pandas\n")
