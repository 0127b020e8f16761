#!/usr/bin/env bash
# Tests of object stores that we did not write: SeaweedFS (S3), Azurite (Azure), and Google's
# emulator. Made once below HITHERTO_CACHE/stores (about 0.4 GB), and again when a lock changes.
#
#     tests/stores/test.sh PYTHON [ARGUMENTS OF PYTEST...]
#
# HITHERTO_COMMITS (of each of 8 processes) and HITHERTO_LEADER_KILLS ask for more.
# PYTHON has the package's test requirements, HITHERTO_BENCHES is the binary of the measurements.
set -euo pipefail
python=$(realpath -s "$1")
shift
cd "$(dirname "$0")"
cache=${HITHERTO_CACHE:-$HOME/.cache/hitherto}/stores
command -v npm >/dev/null || { echo "test.sh: npm is missing: apt-get install npm" >&2; exit 1; }
mkdir -p "$cache"
if ! cmp -s requirements.lock "$cache/requirements.lock"; then
    python3 -m venv --clear "$cache/python"
    "$cache/python/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --requirement requirements.lock
    cp requirements.lock "$cache"
fi
if ! cmp -s package-lock.json "$cache/package-lock.json"; then
    cp package.json package-lock.json "$cache"
    npm --prefix "$cache" ci --no-audit --no-fund --loglevel=error
fi
export HITHERTO_STORES=$cache PYTHONPATH=../../crates/hitherto-python/python
exec "$python" -m pytest -q -p no:cacheprovider --confcutdir . "$@" .
