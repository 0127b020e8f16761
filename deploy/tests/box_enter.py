"""Becomes a container: the process that `box.py` starts in namespaces of its own, until it is
the image's program. Read from the top it is what a container runtime does."""

import ctypes
import json
import os
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
RDONLY, NOSUID, REMOUNT, BIND, REC, PRIVATE = 1, 2, 32, 4096, 16384, 1 << 18
NO_NEW_PRIVILEGES, CAPBSET_DROP = 38, 24
DETACH, PIVOT_ROOT = 2, 155  # of x86-64
DEVICES = ["null", "zero", "random", "urandom"]


def succeeded(answer, what):
    if answer != 0:
        raise OSError(ctypes.get_errno(), what)


def mount(source, target, kind=None, flags=0, options=None):
    words = [word.encode() if word else None for word in (source, target, kind)]
    answer = LIBC.mount(*words, ctypes.c_ulong(flags), options.encode() if options else None)
    succeeded(answer, f"mounting {target}")


def build_root(container):
    """The image, read-only, with the volumes in it."""
    root, layers = container["root"], container["layers"]
    mount("overlay", root, "overlay", 0, layers)
    for source, target, _ in container["mounts"]:
        make = os.makedirs if os.path.isdir(source) else lambda path, **_: open(path, "a").close()
        make(root + target, exist_ok=True)
    for folder in ("/proc", "/dev"):
        os.makedirs(root + folder, exist_ok=True)
    mount("tmpfs", root + "/dev", "tmpfs", NOSUID, "size=64k")
    for device in DEVICES:
        open(f"{root}/dev/{device}", "w").close()
        mount(f"/dev/{device}", f"{root}/dev/{device}", flags=BIND)
    mount("proc", root + "/proc", "proc", NOSUID)
    if container["readOnly"]:
        mount(None, root, flags=REMOUNT | RDONLY)
    for source, target, read_only in container["mounts"]:
        mount(source, root + target, flags=BIND | REC)
        if read_only:
            mount(None, root + target, flags=REMOUNT | BIND | RDONLY)


def enter(root):
    os.chdir(root)
    succeeded(LIBC.syscall(PIVOT_ROOT, b".", b"."), "pivot_root")
    succeeded(LIBC.umount2(b".", DETACH), "umount")
    os.chdir("/")


def give_up_rights(container):
    if container["dropCapabilities"]:
        for capability in range(64):
            LIBC.prctl(CAPBSET_DROP, capability, 0, 0, 0)
    if container["noNewPrivileges"]:
        succeeded(LIBC.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0), "no new privileges")
    os.setgroups(container["groups"])
    os.setresgid(*[container["gid"]] * 3)
    os.setresuid(*[container["uid"]] * 3)


def main():
    container = json.loads(sys.argv[1])
    mount(None, "/", flags=REC | PRIVATE)
    build_root(container)
    enter(container["root"])
    give_up_rights(container)
    os.umask(0o022)
    os.execve(container["args"][0], container["args"], container["env"])


main()
