#!/bin/sh
# Cargo as maturin calls it, but for the whole workspace: for one crate alone Cargo would
# choose other features of what it depends on, and build DataFusion a second time. What is
# built are the libraries, and whatever else CARGO_WORKSPACE_ALSO names.
[ "$1" = rustc ] || exec cargo "$@"
cd "$(dirname "$0")/.." || exit
shift
kept=
while [ $# -gt 0 ]; do
    case $1 in
    --message-format | --profile | --target) kept="$kept $1 $2"; shift ;;
    --message-format=* | --profile=* | --target=* | --release) kept="$kept $1" ;;
    --) break ;;
    esac
    shift
done
# shellcheck disable=SC2086 # words
exec cargo build --workspace --locked --lib ${CARGO_WORKSPACE_ALSO:-} $kept
