#!/usr/bin/env bash
# Makes what a release hands out, from a tag, into target/release-artifacts: the wheel, the
# Debian package, the list of what is in them (SBOM) and checksums. Each is tried as its
# users will, and each publication is done once to an index that lasts as long as this.
# Nothing leaves the machine: the last lines say how it would. `release.log` says what was
# made, and has a line for each check that passed.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$PWD/target/release-artifacts
tools=$PWD/target/release-tools
scratch=$(mktemp -d)
index=
trap 'rm -rf "$scratch"; [ -z "$index" ] || kill "$index"' EXIT

say() { echo "release: $*" | tee -a "$out/release.log" >&2; }
fail() { echo "release: $*" >&2; exit 1; }

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
dirty=$(git status --porcelain)
[ -z "$dirty" ] || fail "a release is what is committed, and this is not: $(head -1 <<<"$dirty")"
git tag --points-at HEAD | grep -qx "v$version" ||
    fail "Cargo.toml says $version, and this commit's tags are: $(git tag --points-at HEAD | xargs)." \
        "Check out v$version, or tag this commit: git tag v$version"

rm -rf "$out"
mkdir -p "$out"
say "v$version, commit $(git rev-parse HEAD), $(rustc --version)"
export SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)

wheel() {
    wheel=$(scripts/wheel.sh "$out" --with-binary)
    tag=$(basename "$wheel" .whl | sed 's/.*-//')
    proven=$("$tools/bin/auditwheel" show "$wheel" | tr -d '\n')
    case $proven in
    *"consistent with the following platform tag: \"${tag%%.*}\""*) ;;
    *) fail "the wheel is called $tag, and auditwheel finds: $proven" ;;
    esac
    say "$(basename "$wheel"): auditwheel finds ${tag%%.*}"
}

sbom() { # of the wheel, whose crate has all others below it
    sbom=$out/hitherto-$version.cyclonedx.json
    python3 - "$wheel" "$sbom" <<'PYTHON'
import json, sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
[name] = [name for name in wheel.namelist() if name.endswith("hitherto-python.cyclonedx.json")]
components = json.loads(wheel.read(name))["components"]
assert any(one["name"] == "librocksdb-sys" for one in components), "RocksDB is not in the SBOM"
open(sys.argv[2], "wb").write(wheel.read(name))
PYTHON
    say "$(basename "$sbom"): the crates that it names have RocksDB among them"
}

publish_wheel() { # to an index on this machine, and from there to an empty environment
    mkdir "$scratch/index"
    local port
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    "$tools/bin/pypi-server" run --interface 127.0.0.1 --port "$port" --passwords . \
        --authenticate . --disable-fallback "$scratch/index" >"$scratch/index.log" 2>&1 &
    index=$!
    local url=http://127.0.0.1:$port
    for _ in $(seq 100); do
        python3 -c "import urllib.request as u; u.urlopen('$url')" 2>/dev/null && break
        sleep 0.2
    done
    "$tools/bin/twine" check --strict "$wheel" >&2
    "$tools/bin/twine" upload --non-interactive --disable-progress-bar --username '' --password '' \
        --repository-url "$url" "$wheel" >&2
    python3 -m venv "$scratch/environment"
    local begun=$SECONDS
    "$scratch/environment/bin/pip" install --quiet --disable-pip-version-check \
        --index-url "$url/simple" "hitherto==$version"
    "$scratch/environment/bin/hitherto" demo >"$scratch/demo" 2>&1 ||
        { cat "$scratch/demo" >&2; fail "the demo of the installed wheel failed"; }
    say "twine uploaded the wheel, pip installed it, hitherto demo ran: $((SECONDS - begun)) s"
}

debian_package() {
    local target
    target=$(rustc --print host-tuple)
    cargo install --quiet --locked --root "$tools" --version 3.8.0 cargo-deb
    mkdir -p target/deb
    cat >target/deb/changelog <<TEXT
hitherto ($version-1) unstable; urgency=medium

  * Version $version; CHANGELOG.md in the repository says what is new.

 -- $(sed -n 's/^maintainer = "\(.*\)"/\1/p' crates/hitherto-cli/Cargo.toml)  $(date -R -u -d "@$SOURCE_DATE_EPOCH")
TEXT
    CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target} "$tools/bin/cargo-deb" deb --no-build \
        --no-strip --profile dist --target "$target" --package hitherto-cli --output "$out/" >&2
    deb=$(ls "$out"/*.deb)
    dpkg-deb --extract "$deb" "$scratch/root"
    [ "$("$scratch/root/usr/bin/hitherto" --version)" = "hitherto $version" ] ||
        fail "the package's binary is not version $version"
    "$scratch/root/usr/bin/hitherto" demo >"$scratch/demo" 2>&1 ||
        { cat "$scratch/demo" >&2; fail "the demo of the package's binary failed"; }
    say "$(basename "$deb"): unpacked, hitherto demo ran;$(dpkg-deb --field "$deb" Depends | sed 's/^/ needs /')"
    if command -v lintian >/dev/null; then
        lintian --fail-on error "$deb" >&2
        say "$(basename "$deb"): lintian finds no error"
    else
        say "lintian is not installed: it did not look at the package"
    fi
}

wheel
sbom
publish_wheel
debian_package
(cd "$out" && sha256sum ./*.whl ./*.deb ./*.json >SHA256SUMS && sha256sum --check --quiet SHA256SUMS)
say "made $(cd "$out" && du --apparent-size --block-size=1M ./*.whl ./*.deb ./*.json |
    awk '{ printf "%s%s (%s MB)", (NR > 1 ? ", " : ""), substr($2, 3), $1 }')"
say "the crates are not published (publish = false)"
say "to publish: twine upload $wheel; attach all of $out to the release of v$version"
