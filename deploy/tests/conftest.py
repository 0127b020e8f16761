"""The image, built once for all tests that run it."""

import json
import os
import shutil
from pathlib import Path

import pytest
from tools import CACHE, DEPLOY, run

BUILDAH = [
    "buildah", "--root", CACHE / "storage", "--runroot", CACHE / "run", "--storage-driver", "vfs",
]  # fmt: skip
BASE, IMAGE = "localhost/hitherto-base", "localhost/hitherto:test"


def succeed(*command):
    answer = run(*command)
    assert answer.returncode == 0, f"{command}: {answer.stdout}{answer.stderr}"
    return answer.stdout


@pytest.fixture(scope="session")
def binary():
    """The binary that is tried, with what is built of it."""
    return Path(os.environ["HITHERTO_BIN"])


@pytest.fixture(scope="session")
def image(binary, tmp_path_factory):
    """The image of the Dockerfile, on a base of Debian's packages, without the compiler: its
    configuration, and its files in a folder."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "build/out").mkdir(parents=True)
    succeed("strip", "-o", folder / "build/out/hitherto", binary)
    succeed(DEPLOY / "image/base.sh", BASE, *BUILDAH[1:])
    succeed(
        *BUILDAH, "bud", "--quiet", "--isolation", "chroot", "--timestamp", "0",
        "--file", DEPLOY / "image/Dockerfile",
        "--ignorefile", DEPLOY / "image/Dockerfile.dockerignore",
        "--build-context", f"build={folder}/build", "--build-arg", f"BASE={BASE}",
        "--tag", IMAGE, DEPLOY.parent,
    )  # fmt: skip
    layout = folder / "oci"
    succeed(*BUILDAH, "push", "--quiet", IMAGE, f"oci:{layout}:test")
    succeed("umoci", "unpack", "--image", f"{layout}:test", folder / "bundle")

    def blob(reference):
        return json.loads((layout / "blobs" / reference["digest"].replace(":", "/")).read_text())

    [manifest] = json.loads((layout / "index.json").read_text())["manifests"]
    config = blob(blob(manifest)["config"])["config"]
    yield {
        "root": folder / "bundle/rootfs",
        "config": config,
        "entrypoint": config["Entrypoint"],
        "env": config["Env"],
        "bytes": sum(layer["size"] for layer in blob(manifest)["layers"]),
    }
    shutil.rmtree(folder)
