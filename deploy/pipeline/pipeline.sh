#!/usr/bin/env bash
# The steps of a pipeline that brings definitions from a review to a cluster, for whichever
# system runs it; github.yml is a template for one. A repository here is the folder with
# hitherto.yaml in it.
#
#   pipeline.sh plan REPOSITORY BASE     what a change would do to what is applied at BASE, a
#                                        commit: exit code 0 nothing, 2 something, 1 an error
#   pipeline.sh bundle REPOSITORY IMAGE  values of the chart on stdout: the definitions and the
#                                        image by its digest; the one thing that is promoted
#   pipeline.sh apply RELEASE BUNDLE VALUES [OPTION OF HELM...]
#                                        installs or upgrades a release; if it does not become
#                                        ready, it goes back to what was there
#   pipeline.sh prove URL                whether a server may be promoted: it is well, and
#                                        lookups and training sets agree
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
chart=${HITHERTO_CHART:-$here/../helm/hitherto}

say() { echo "pipeline: $*" >&2; }
fail() { say "$@"; exit 1; }

# The definitions and settings at a commit, as files in a folder.
at() { # repository commit folder
    local below
    below=$(git -C "$1" rev-parse --show-prefix)
    git -C "$1" archive "$2" -- . | tar -x -C "$3" 2>/dev/null ||
        fail "$1 is not in commit $2; fetch it, or name another: git fetch origin main"
    say "comparing with ${below:-the repository} at $(git -C "$1" rev-parse --short "$2")"
}

plan() { # repository base
    local scratch changes
    scratch=$(mktemp -d)
    # shellcheck disable=SC2064 # the folder is known now and not later
    trap "rm -rf '$scratch'" EXIT
    at "$1" "$2" "$scratch"
    # A store that is nobody's: what BASE applies is what the change is compared with.
    if [ -f "$scratch/hitherto.yaml" ]; then
        sed -i 's/^store:.*//' "$scratch/hitherto.yaml"
        hitherto --repo "$scratch" apply >&2 || fail "what is at $2 cannot be applied: see above"
    fi
    find "$scratch" -mindepth 1 -maxdepth 1 ! -name .hitherto -exec rm -rf {} +
    tar -c -C "$1" --exclude=.hitherto --exclude=.git . | tar -x -C "$scratch"
    sed -i 's/^store:.*//' "$scratch/hitherto.yaml"
    hitherto --repo "$scratch" plan || exit 1
    changes=$(hitherto --repo "$scratch" --output json plan |
        python3 -c 'import json, sys; print(len(json.load(sys.stdin)["changes"]))') || exit 1
    [ "$changes" -eq 0 ] || exit 2
}

bundle() { # repository image
    case $2 in
    *@sha256:*) ;;
    *) fail "$2 has no digest, and a tag may be another image tomorrow; write NAME@sha256:..." ;;
    esac
    python3 - "$1" "$2" <<'PYTHON'
import json, pathlib, sys

root, image = pathlib.Path(sys.argv[1]), sys.argv[2]
files = {}
for path in sorted([*root.rglob("*.yaml"), *root.rglob("*.yml")]):
    parts = path.relative_to(root).parts
    if parts == ("hitherto.yaml",) or any(part.startswith(".") for part in parts):
        continue
    # A ConfigMap has no folders.
    name = "-".join(parts)
    if name in files:
        sys.exit(f"pipeline: two files would be called {name}; rename one of them")
    files[name] = path.read_text()
if not files:
    sys.exit(f"pipeline: no definitions are below {root}")
repository, digest = image.split("@")
values = {
    "image": {"repository": repository, "digest": digest},
    "definitions": {"files": files},
}
# JSON is YAML, and sorted: the same definitions are the same bytes.
print(json.dumps(values, indent=2, sort_keys=True))
PYTHON
}

apply() { # release bundle values...
    local release=$1 bundle=$2 values=$3
    shift 3
    helm upgrade --install "$release" "$chart" --values "$values" --values "$bundle" \
        --rollback-on-failure --wait --timeout 15m "$@"
}

prove() { # url
    local verified
    hitherto doctor --server "$1" || exit 1
    verified=$(hitherto verify --server "$1") || { echo "$verified"; exit 1; }
    echo "$verified"
    case $verified in
    *"nothing is online"*) fail "a view of $1 is not online; materialize it first" ;;
    esac
}

command=${1:-}
shift || true
case $command:$# in
plan:2 | bundle:2 | prove:1) "$command" "$@" ;;
apply:[3-9]) apply "$@" ;;
*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 1 ;;
esac
