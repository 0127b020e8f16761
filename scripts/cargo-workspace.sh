#!/bin/sh
# Cargo as maturin calls it, but for the whole workspace: for one crate alone Cargo would
# choose other features of what it depends on, and build DataFusion a second time.
[ "$1" = rustc ] || exec cargo "$@"
shift
messages=
while [ $# -gt 0 ]; do
    case $1 in
    --message-format) messages="$1 $2"; shift ;;
    --message-format=*) messages=$1 ;;
    --) break ;;
    esac
    shift
done
# shellcheck disable=SC2086 # two words or none
exec cargo build --release --workspace --locked $messages
