#!/usr/bin/env bash
# Runs a wheel where glibc is old: a Debian 11 (2.31, of 2020) by debootstrap, the oldest that
# its mirrors still have. Its own Python is older than the wheel wants, so one is compiled there.
# What auditwheel finds is a promise about symbols; this is somebody who keeps it.
#
#     sudo scripts/old-machine.sh WHEEL
set -euo pipefail
cd "$(dirname "$0")/.."
wheel=$(readlink -f "${1:?the wheel, made by: make wheel}")
python=http://deb.debian.org/debian/pool/main/p/python3.11/python3.11_3.11.2.orig.tar.gz
BARE=${BARE:-${HITHERTO_CACHE:-$HOME/.cache/hitherto}/bare}
root=$BARE/debian-11
[ "$(id -u)" = 0 ] || { echo "old-machine: only root can make a machine: sudo $0" >&2; exit 2; }
command -v debootstrap >/dev/null || { echo "old-machine: apt-get install debootstrap" >&2; exit 2; }

inside() { # command: nothing of this machine's environment but how packages are reached
    env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        $(env | grep -Ei '^(https?_proxy|no_proxy|pip_[a-z_]*|ssl_cert_file)=' || true) \
        unshare --mount --pid --fork --kill-child bash -c "
            mount -t proc proc '$root/proc' && mount --bind /dev '$root/dev' && exec chroot '$root' bash -euc '$1'"
}

if [ ! -x "$root/usr/local/bin/python3.11" ]; then
    echo "old-machine: a Debian 11 with Python 3.11 in $root, some minutes" >&2
    rm -rf "$root"
    mkdir -p "$BARE"
    debootstrap --variant=minbase --include=ca-certificates,curl,gcc,libc6-dev,make,libffi-dev,libssl-dev,zlib1g-dev \
        bullseye "$root" http://deb.debian.org/debian >"$BARE/debootstrap-11.log"
    for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
        [ ! -f "$file" ] || cp -L "$file" "$root$file"
    done
    inside "curl --silent --show-error --fail $python | tar -xz -C /usr/src && cd /usr/src/Python-3.11.2 &&
        ./configure --quiet --with-ensurepip=install && make -s -j$(nproc) && make -s install" >"$BARE/python.log" 2>&1
fi

echo "old-machine: $(inside 'ldd --version | head -1'), $(inside 'python3.11 --version')" >&2
cp "$wheel" "$root/root/"
inside "rm -rf /root/environment && python3.11 -m venv /root/environment &&
    /root/environment/bin/pip install --quiet --disable-pip-version-check /root/$(basename "$wheel") &&
    cd /root && /root/environment/bin/hitherto --version && /root/environment/bin/hitherto demo"
echo "old-machine: $(basename "$wheel") was installed, and its demo ran" >&2
