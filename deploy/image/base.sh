#!/usr/bin/env bash
# Makes a base image where no registry of images is reached: what gcr.io/distroless/cc-debian12
# has, out of Debian's packages. The same files for the same versions of them.
#
#     deploy/image/base.sh NAME [OPTION OF BUILDAH...]
set -euo pipefail
name=${1:?"say what the image is to be called"}
shift
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
root=$scratch/root
mkdir -p "$root"/{etc/ssl/certs,tmp,home/nonroot} "$scratch/packages"

# apt drops its rights while it downloads, and must be able to write there.
chmod 755 "$scratch" && chmod 777 "$scratch/packages"
(cd "$scratch/packages" && apt-get --quiet=2 download libc6 libgcc-s1 libstdc++6 ca-certificates tzdata)
for package in "$scratch"/packages/*.deb; do dpkg-deb --extract "$package" "$root"; done
cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
# What is left of a program would be one more thing to keep safe.
rm -rf "$root"/{bin,sbin,usr/bin,usr/sbin} "$root"/usr/share/{doc,lintian,man,locale,gdb} \
    "$root"/usr/lib/x86_64-linux-gnu/gconv
echo "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin" >"$root/etc/passwd"
echo "nonroot:x:65532:" >"$root/etc/group"
echo "hosts: files dns" >"$root/etc/nsswitch.conf"
chmod 1777 "$root/tmp"
chown 65532:65532 "$root/home/nonroot"

printf 'FROM scratch\nCOPY root/ /\nUSER 65532:65532\n' >"$scratch/Containerfile"
buildah "$@" bud --quiet --isolation chroot --timestamp 0 --tag "$name" "$scratch" >&2
