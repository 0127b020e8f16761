"""Loads libclang where bindgen looks for it, and reads a header with it.

    python3 scripts/prove_libclang.py HEADER

The name of a file proves nothing: `libclang-cpp.so.14` is another library, and
libclang without Clang's own headers cannot read <stddef.h>.
"""

import ctypes
import glob
import os
import sys

ASKED_FOR = os.environ.get("LIBCLANG_PATH")
FOLDERS = [ASKED_FOR] if ASKED_FOR else [
    *sorted(glob.glob("/usr/lib/llvm-*/lib"), reverse=True),
    *glob.glob("/usr/lib/*-linux-gnu"),
    *["/usr/lib64", "/usr/lib", "/usr/local/lib"],
]
NAMES = ["libclang.so", "libclang-*.so", "libclang.so.*", "libclang-*.so.*"]


def candidates():
    for folder in FOLDERS:
        for name in NAMES:
            for path in sorted(glob.glob(os.path.join(folder, name))):
                if "-cpp." not in os.path.basename(path):
                    yield path


def reads(path, header):
    """Whether the library at `path` reads `header` without an error."""
    clang = ctypes.CDLL(path)
    for function in ("clang_createIndex", "clang_parseTranslationUnit"):
        getattr(clang, function).restype = ctypes.c_void_p
    index = ctypes.c_void_p(clang.clang_createIndex(0, 1))
    unit = clang.clang_parseTranslationUnit(index, header.encode(), None, 0, None, 0, 0)
    return unit is not None and clang.clang_getNumDiagnostics(ctypes.c_void_p(unit)) == 0


def main(header):
    found = list(candidates())
    if not found:
        sys.exit("no libclang in " + ", ".join(FOLDERS))
    # The first is the one that bindgen takes.
    if not reads(found[0], header):
        sys.exit(f"{found[0]} does not find Clang's own headers")


if __name__ == "__main__":
    main(*sys.argv[1:])
