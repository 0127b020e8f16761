#!/usr/bin/env bash
# Tests integrations, each in an environment of its own, of its lock file's versions, below
# HITHERTO_CACHE/serving (about 3.5 GB) or HITHERTO_CACHE/pipelines (about 3 GB); made once,
# and again when a lock changes.
#
#     integrations/test.sh serving|pipelines [NEIGHBOUR...]      all of them if none is named
#
# HITHERTO_BIN is the binary of the server. Java 17 is wanted for SageMaker's server. With
# KSERVE_CHECKOUT, a clone of KServe, its own sample for Feast is run too.
set -euo pipefail
cd "$(dirname "$0")"
group=${1:-}
case $group in
serving) all=(features kserve mlserver bentoml mlflow sagemaker lambda tensorflow torchserve) ;;
pipelines) all=(dbt dagster airflow kubeflow openlineage odcs) ;;
*) echo "test.sh: name serving or pipelines first; found '$group'" >&2; exit 2 ;;
esac
shift
cache=${HITHERTO_CACHE:-$HOME/.cache/hitherto}/$group
here=$PWD
[ $# -gt 0 ] || set -- "${all[@]}"
HITHERTO_MATRIX=$(mktemp -d)
export HITHERTO_MATRIX PYTHONPATH=$here/../crates/hitherto-python/python
export HITHERTO_RISK=$HITHERTO_MATRIX/risk
trap 'rm -rf "$HITHERTO_MATRIX"' EXIT
mkdir -p "$cache"

if [ "$group" = serving ] && ! command -v java >/dev/null; then
    echo "test.sh: java is missing: install Java 17" >&2
    exit 1
fi
for neighbour in "$@"; do
    python=$cache/$neighbour/bin/python
    if ! cmp -s "$neighbour/requirements.lock" "$cache/$neighbour/requirements.lock"; then
        python3 -m venv --clear "$cache/$neighbour"
        "$python" -m pip install --quiet --disable-pip-version-check --no-deps \
            --requirement "$neighbour/requirements.lock"
        cp "$neighbour/requirements.lock" "$cache/$neighbour"
    fi
    "$python" -m pytest -q -p no:cacheprovider --confcutdir . "$neighbour"
    if [ "$neighbour" = kserve ] && [ -n "${KSERVE_CHECKOUT:-}" ]; then
        "$python" -m pytest -q -p no:cacheprovider kserve/judge_feast_sample.py
    fi
done
"${HITHERTO_PYTHON:-python3}" matrix.py "$HITHERTO_MATRIX" "../docs/integrate/$group.md"
