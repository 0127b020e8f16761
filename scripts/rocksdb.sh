#!/usr/bin/env bash
# Compiles RocksDB once for every profile, toolchain and clone of this machine, and prints
# the folder of the archive, for ROCKSDB_LIB_DIR. `--where` prints it and compiles nothing.
#
# librocksdb-sys compiles each of its 343 files by itself, and all of them again for each
# profile and after each `cargo clean`. Much of that is reading the same headers: RocksDB can
# also be compiled many files at a time (its Makefile calls that `unity`). The definitions
# below are those of the crate's build.rs for Linux.
set -euo pipefail
cd "$(dirname "$0")/.."

# Enough to share the headers, few enough for all cores and 1.5 GB of memory each.
files_at_a_time=18
flags=(-O2 -std=c++20 -fPIC -ffunction-sections -fdata-sections -w -include cstdint
    -DNDEBUG -DLZ4 -DZSTD -DHAVE_ALIGNED_NEW -DHAVE_UINT128_EXTENSION
    -DOS_LINUX -DROCKSDB_PLATFORM_POSIX -DROCKSDB_LIB_IO_POSIX -DROCKSDB_SCHED_GETCPU_PRESENT
    -DROCKSDB_AUXV_GETAUXVAL_PRESENT -DROCKSDB_FALLOCATE_PRESENT -DROCKSDB_RANGESYNC_PRESENT)
# As for make, the compiler may be several words.
read -ra cxx <<<"${CXX:-c++}"

# Crates, compiler and flags: another of any is another archive.
locked() { # crate: its version in Cargo.lock
    grep -A1 "^name = \"$1\"\$" Cargo.lock | sed -n 's/^version = "\(.*\)"/\1/p'
}
version=$(locked librocksdb-sys)
key=$({
    echo "$version $(locked lz4-sys) $(locked zstd-sys)"
    "${cxx[@]}" --version 2>/dev/null | head -1 || true # `setup.sh` will say that it is missing
    echo "${flags[*]} ${CXXFLAGS:-}"
} | sha256sum | cut -c1-12)
folder=${HITHERTO_CACHE:-$HOME/.cache/hitherto}/rocksdb/$version-$key

if [ "${1:-}" = --where ] || [ -f "$folder/librocksdb.a" ]; then
    echo "$folder"
    exit
fi
mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9 # whoever comes second waits, and finds it made
[ ! -f "$folder/librocksdb.a" ] || { echo "$folder"; exit; }

sources() { # crate: the folder of its sources
    python3 -c 'import json, os, sys
packages = json.load(sys.stdin)["packages"]
print(*[os.path.dirname(p["manifest_path"]) for p in packages if p["name"] == sys.argv[1]])' \
        "$1" <<<"$metadata"
}
metadata=$(cargo metadata --locked --format-version 1 --filter-platform "$(rustc --print host-tuple)")
crate=$(sources librocksdb-sys)
flags+=(-I"$crate/rocksdb/include" -I"$crate/rocksdb" -I"$crate"
    -I"$(sources lz4-sys)/liblz4/lib" -I"$(sources zstd-sys)/zstd/lib")

building=$(mktemp -d -p "$folder")
trap 'rm -rf "$building"' EXIT
trap 'kill $(jobs -p) 2>/dev/null; wait' ERR
cp "$crate/build_version.cc" "$building"
grep -v util/build_version.cc "$crate/rocksdb_lib_sources.txt" | sed 's|.*|#include "&"|' |
    split --lines "$files_at_a_time" --numeric-suffixes --additional-suffix .cc - "$building/part"

fitting=$(awk '/MemAvailable/ { print int($2 / 1500000) }' /proc/meminfo)
jobs=$((fitting < 1 ? 1 : fitting < $(nproc) ? fitting : $(nproc)))
parts=("$building"/*.cc)
echo "setup: compiling RocksDB, once, with $jobs compilers" >&2
started=$SECONDS
compile() {
    # shellcheck disable=SC2086 # CXXFLAGS are words
    "${cxx[@]}" "${flags[@]}" ${CXXFLAGS:-} -c "$1" -o "${1%.cc}.o"
}
for part in "${parts[@]}"; do
    [ "$(jobs -pr | wc -l)" -lt "$jobs" ] || wait -n
    compile "$part" &
done
while [ -n "$(jobs -p)" ]; do wait -n; done
ar crs "$building/librocksdb.a" "$building"/*.o
mv "$building/librocksdb.a" "$folder"
echo "setup: RocksDB is compiled, in $((SECONDS - started)) s" >&2
echo "$folder"
