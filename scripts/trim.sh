#!/usr/bin/env bash
# Bounds what our own crates leave in the build folder, which grows by gigabytes a day: each
# clone has files of its own, and incremental builds add to theirs. What was used last stays.
# Dependencies, which all clones share, are not touched.
set -euo pipefail
gigabytes_max=${HITHERTO_BUILD_GIGABYTES_MAX:-12}
folder=${CARGO_BUILD_BUILD_DIR:-${HITHERTO_CACHE:-$HOME/.cache/hitherto}/target}
[ -d "$folder" ] || exit 0

# Each thing's kilobytes and path, what was written last first. A build beside this one may
# take a thing away while it is looked at.
things() {
    find "$folder" \( -path '*/incremental/*' -prune \
        -o -path '*/deps/*hitherto*' -o -path '*/deps/all-*' \) -printf '%T@\t%p\0' |
        sort -rnz | cut -zf2- | du -sk --files0-from=-
}
{ things 2>/dev/null || true; } |
    awk -F'\t' -v max="$((gigabytes_max << 20))" '{ sum += $1 } sum > max { print $2 }' |
    xargs -d '\n' --no-run-if-empty rm -rf
