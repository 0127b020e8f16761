#!/usr/bin/env bash
# Proves that this machine can build, by using what a build uses, and makes the virtual
# environment. Root gets what is missing installed; anybody else is told in one line what to
# install. A second or two when everything is there.
#
#     scripts/setup.sh [VIRTUAL_ENVIRONMENT]
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

say() { echo "setup: $*" >&2; }
fail() { say "$@"; exit 1; }

# The proofs. What those that fail have said is in $scratch/why.

rust() {
    local needed found
    needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    found=$(rustc --version | cut -d' ' -f2)
    [ "$(printf '%s\n' "$needed" "$found" | sort -V | head -1)" = "$needed" ] ||
        { echo "Rust $found is older than $needed"; return 1; }
    cargo --version && cargo fmt --version && clippy-driver --version
}

cxx() { # RocksDB is C++20, and linked
    echo '#include <filesystem>
#include <semaphore>
int main() { return std::filesystem::exists("/") ? 0 : 1; }' >"$scratch/proof.cc"
    "${CXX:-c++}" -std=c++20 "$scratch/proof.cc" -o "$scratch/proof" && "$scratch/proof"
}

libclang() { # bindgen reads RocksDB's C header with it, and needs Clang's own headers for that
    echo '#include <stddef.h>
#include <stdarg.h>' >"$scratch/proof.h"
    python3 scripts/prove_libclang.py "$scratch/proof.h"
}

virtual_environment() {
    "$venv/bin/python" -c 'import pip' && return
    rm -rf "$venv"
    python3 -c 'import sys; assert sys.version_info >= (3, 10), "Python is older than 3.10"' &&
        python3 -m venv "$venv"
}

# Whether a proof fails; `packages` are those of Debian that would mend it.
missing() {
    packages=()
    : >"$scratch/why"
    for proof in "cxx g++" "libclang libclang-dev" "virtual_environment python3-venv"; do
        "${proof% *}" >"$scratch/said" 2>&1 && continue
        packages+=("${proof#* }")
        cat "$scratch/said" >>"$scratch/why"
    done
    [ ${#packages[@]} -gt 0 ]
}

command -v cargo >/dev/null || fail "Rust is missing: install it from https://rustup.rs"
rust >"$scratch/why" 2>&1 || {
    say "$(tail -1 "$scratch/why")"
    fail "run: rustup update stable && rustup component add rustfmt clippy"
}
if missing; then
    install="apt-get install --yes --no-install-recommends ${packages[*]}"
    command -v apt-get >/dev/null || fail "install what Debian calls ${packages[*]}, and try again"
    [ "$(id -u)" = 0 ] || fail "run: sudo $install"
    say "installing ${packages[*]}"
    { apt-get update && DEBIAN_FRONTEND=noninteractive $install; } >"$scratch/said" 2>&1 ||
        { cat "$scratch/said" >&2; fail "apt-get could not install ${packages[*]}"; }
    if missing; then
        cat "$scratch/why" >&2
        fail "${packages[*]} is installed, and does not work: see above"
    fi
fi

# The Python side: the client is loaded from this clone, its tests need the rest.
requirements=crates/hitherto-python/requirements-test.txt
stamp=$venv/.requirements
if ! cmp -s "$requirements" "$stamp"; then
    say "installing the tests' Python packages into $venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    echo "$PWD/crates/hitherto-python/python" >"$site/hitherto.pth"
    cp "$requirements" "$stamp"
fi
