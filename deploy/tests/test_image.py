"""The image: what is in it, and what is not."""

import os
import stat

from tools import BIN, DEPLOY, run


def test_hadolint():
    answer = run(BIN / "hadolint", "--failure-threshold", "style", DEPLOY / "image/Dockerfile")
    assert answer.returncode == 0, answer.stdout


def test_what_it_says_of_itself(image):
    config = image["config"]
    assert config["User"] == "65532:65532"
    assert (config["Entrypoint"], config["Cmd"]) == (["/usr/local/bin/hitherto"], ["serve"])
    assert config["StopSignal"] == "SIGTERM"
    assert "/etc/hitherto" in "".join(config["Env"])
    assert config["Labels"]["org.opencontainers.image.title"] == "hitherto"


def test_one_program_and_nothing_to_write(image):
    programs, writable = [], []
    for folder, _, names in os.walk(image["root"]):
        for name in names:
            path = os.path.join(folder, name)
            found = os.lstat(path)
            if not stat.S_ISREG(found.st_mode):
                continue
            shown = os.path.relpath(path, image["root"])
            if found.st_mode & 0o111 and ".so" not in name:
                programs.append(shown)
            if found.st_uid == 65532 or found.st_mode & 0o022:
                writable.append(shown)
            assert not found.st_mode & (stat.S_ISUID | stat.S_ISGID), shown
    assert programs == ["usr/local/bin/hitherto"]
    assert writable == []


def test_it_runs(image):
    answer = run(
        "chroot", "--userspec=65532:65532", image["root"], *image["entrypoint"], "--version"
    )  # fmt: skip
    assert answer.stdout.startswith("hitherto "), answer.stderr


def test_the_base_adds_little(image, binary):
    packed = image["bytes"]
    assert packed < binary.stat().st_size, f"{packed} bytes of layers"
