#!/usr/bin/env bash
# Bounds what our own crates leave in the build folder, which grows by gigabytes a day: each
# clone has files of its own, and incremental builds add to theirs. What was used last stays.
# Dependencies, which all clones share, are not touched.
set -euo pipefail
gigabytes_max=${HITHERTO_BUILD_GIGABYTES_MAX:-12}
folder=${CARGO_BUILD_BUILD_DIR:-${HITHERTO_CACHE:-$HOME/.cache/hitherto}/target}
[ -d "$folder" ] || exit 0

# A line a thing: when it was last written, its kilobytes, its path. Newest first.
find "$folder" \( -path '*/incremental/*' -prune -o -path '*/deps/*hitherto*' \) \
    -printf '%T@\t%p\n' 2>/dev/null | sort -rn | cut -f2- |
    tr '\n' '\0' | du -sk --files0-from=- 2>/dev/null |
    awk -F'\t' -v max="$((gigabytes_max << 20))" '{ sum += $1 } sum > max { print $2 }' |
    tr '\n' '\0' | xargs -0 --no-run-if-empty rm -rf
