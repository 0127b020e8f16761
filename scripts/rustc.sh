#!/bin/sh
# The compiler of our own crates (RUSTC_WORKSPACE_WRAPPER). Cargo names what it makes of them by
# their path inside the workspace, equal in all clones, and by the path of this file: without it,
# clones that share a build folder take each other's crates for their own.
exec "$@"
