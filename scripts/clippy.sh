#!/bin/sh
# Clippy as the compiler of our own crates: `cargo clippy` would check all dependencies a second
# time. See rustc.sh for why it is not called by its own name.
exec clippy-driver "$@"
