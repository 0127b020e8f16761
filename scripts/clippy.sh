#!/usr/bin/env bash
# Clippy as the compiler of our own crates: `cargo clippy` would check all dependencies a second
# time. Those are known by the metadata beside what was built of them, and of our own crates no
# more than metadata is made; what Cargo waits for is an empty file. Build scripts are run, so
# they are compiled. See rustc.sh for why clippy is not called by its own name.
set -euo pipefail

case " $* " in
*" --crate-name build_script_"*) exec clippy-driver "$@" ;;
*" --emit="*) ;;
*) exec clippy-driver "$@" ;; # Cargo asks what compiler this is
esac

arguments=("$@")
for i in "${!arguments[@]}"; do
    [ "${arguments[i]}" != --out-dir ] || folder=${arguments[i + 1]}
done
checks=("${@/#--emit=*/--emit=dep-info,metadata}")
clippy-driver "${checks[@]/%.rlib/.rmeta}"

for file in $("$@" --print=file-names); do
    : >"$folder/$file"
done
