#!/usr/bin/env bash
# Makes the wheel that is handed out: for every Linux with glibc 2.17 or newer (of 2012).
# Zig, out of PyPI, compiles C and C++ and links, with the symbols of that glibc and a C++
# library of its own. Beside it, with `--with-binary`, the binary for the same machines,
# in Cargo's target folder. Prints the wheel's path.
#
#     scripts/wheel.sh FOLDER [--with-binary]
set -euo pipefail
cd "$(dirname "$0")/.."
glibc=2.17
folder=$(realpath -m "${1:?where the wheel goes}")
target=$(rustc --print host-tuple)
tools=$PWD/target/release-tools
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}

requirements=scripts/release-requirements.txt
if ! cmp -s "$requirements" "$tools/requirements"; then
    echo "wheel: installing its tools into $tools" >&2
    python3 -m venv --clear "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    cp "$requirements" "$tools/requirements"
fi

# RocksDB once more, by another compiler for another glibc.
ROCKSDB_LIB_DIR=$(CXX="$tools/bin/python -m ziglang c++" \
    CXXFLAGS="-target ${target%%-*}-linux-gnu.$glibc" scripts/rocksdb.sh)
export ROCKSDB_LIB_DIR ROCKSDB_STATIC=1 CXXSTDLIB=c++
[ "${2:-}" != --with-binary ] || export CARGO_WORKSPACE_ALSO="--bin hitherto"
rm -f "$folder"/hitherto-*.whl
# Not from here: Zig says relative to where it is asked in which folders its headers are, and
# bindgen, which is told so, looks for them from a crate's own folder.
(manifest=$PWD/crates/hitherto-python/Cargo.toml CARGO=$PWD/scripts/cargo-workspace.sh
    export CARGO CARGO_ZIGBUILD_PYTHON_PATH=$tools/bin/python PATH=$tools/bin:$PATH
    cd / && "$tools/bin/maturin" build --profile dist --zig \
        --compatibility "manylinux_${glibc/./_}" --target "$target" \
        --manifest-path "$manifest" --out "$folder") >&2
wheel=$(ls "$folder"/hitherto-*.whl)
echo "wheel: packing it smaller, some minutes" >&2
"$tools/bin/python" scripts/repack_wheel.py "$wheel"
echo "$wheel"
