#!/usr/bin/env bash
# The environment of the documents' tests: 1.3 GB below HITHERTO_CACHE/docs, once, and again when
# its lock changes. Says where its Python is.
set -euo pipefail
cd "$(dirname "$0")"
cache=${HITHERTO_CACHE:-$HOME/.cache/hitherto}/docs
if ! cmp -s requirements.lock "$cache/requirements.lock"; then
    python3 -m venv --clear "$cache" >&2
    "$cache/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --requirement requirements.lock >&2
    cp requirements.lock "$cache"
fi
echo "$cache/bin/python"
