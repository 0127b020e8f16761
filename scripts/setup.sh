#!/usr/bin/env bash
# Installs what a build needs, or says in one line what to install.
# Quick when everything is there.
set -euo pipefail
venv=${1:-.venv}

need() { # command, what to do
    command -v "$1" >/dev/null || { echo "setup: $1 is missing: $2" >&2; exit 1; }
}

need cargo "install Rust 1.94 or newer from https://rustup.rs"
need c++ "apt-get install g++"
need python3 "apt-get install python3 python3-venv"

# RocksDB's bindings are generated with libclang.
has_libclang() {
    ldconfig -p | grep -q 'libclang[-.0-9]*\.so' || compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null
}
if [ -z "${LIBCLANG_PATH:-}" ] && ! has_libclang; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "setup: installing libclang-dev" >&2
        apt-get update -qq && apt-get install -y -qq libclang-dev >/dev/null
    else
        echo "setup: libclang is missing: sudo apt-get install libclang-dev" >&2
        exit 1
    fi
fi

# The Python side: the client is loaded from this clone, its tests need the rest.
requirements=crates/hitherto-python/requirements-test.txt
stamp=$venv/.requirements
if ! cmp -s "$requirements" "$stamp"; then
    echo "setup: a virtual environment in $venv" >&2
    python3 -m venv "$venv" || { echo "setup: apt-get install python3-venv" >&2; exit 1; }
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    echo "$PWD/crates/hitherto-python/python" >"$site/hitherto.pth"
    cp "$requirements" "$stamp"
fi
