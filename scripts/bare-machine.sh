#!/usr/bin/env bash
# Runs the README's commands on machines on which nobody has installed anything: a Debian 12
# by debootstrap with git, make and this machine's Rust toolchain, and nothing else of this
# machine to be seen. Whoever builds here every day cannot see what `setup.sh` forgot.
#
#     sudo scripts/bare-machine.sh [--keep] [--without PACKAGE] [RUN ...]
#
# RUN is root-demo, root-test, user-demo or user-test; without one all four, each on a machine
# of its own, so each builds everything. `--keep` goes on with the machine of that person's run
# before and brings its clone up to date, as somebody does who types one command after the
# other. `--without` hides a Debian package from the machine, to see that a run can fail.
#
# Downloads are lent: Cargo's, pip's and apt's are below a layer that the machine writes to, and
# the package clients' settings are passed in. Nothing that was built is. Logs with the seconds
# since the start of each line lie in $BARE/logs.
set -euo pipefail
cd "$(dirname "$0")/.."

BARE=${BARE:-${HITHERTO_CACHE:-$HOME/.cache/hitherto}/bare}
settings='^(https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY|PIP_CERT|PIP_INDEX_URL|PIP_EXTRA_INDEX_URL|'
settings+='PIP_DEFAULT_TIMEOUT|SSL_CERT_FILE|CARGO_HTTP_CAINFO|CARGO_REGISTRIES_.*)='

keep= without= runs=()
while [ $# -gt 0 ]; do
    case $1 in
    --keep) keep=yes ;;
    --without) without=$2; shift ;;
    root-demo | root-test | user-demo | user-test) runs+=("$1") ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
[ ${#runs[@]} -gt 0 ] || runs=(root-demo root-test user-demo user-test)
[ "$(id -u)" = 0 ] || { echo "bare-machine: only root can make a machine: sudo $0" >&2; exit 2; }
command -v debootstrap >/dev/null || { echo "bare-machine: apt-get install debootstrap" >&2; exit 2; }

# A fresh Debian, made once and never written to again.
debian=$BARE/debian
if [ ! -f "$debian/etc/debian_version" ] || [ -d "$debian/debootstrap" ]; then
    echo "bare-machine: a Debian 12 in $debian" >&2
    rm -rf "$debian"
    mkdir -p "$BARE"
    debootstrap --variant=minbase --include=ca-certificates,git,make \
        bookworm "$debian" http://deb.debian.org/debian >"$BARE/debootstrap.log"
fi

# The machine of one run. Called in namespaces of its own: what is mounted goes with it.
machine() { # folder, home, then a command and its arguments
    local folder=$1 home=$2 root=$1/root
    shift 2
    mount --make-rprivate /
    mount -t overlay bare -o "lowerdir=$debian,upperdir=$folder/upper,workdir=$folder/work" "$root"
    lend() { # what this machine has downloaded, where the other looks for it
        [ -d "$1" ] || return 0
        mkdir -p "$root$2" "$folder/lent$2/upper" "$folder/lent$2/work"
        mount -t overlay lent -o "lowerdir=$1,upperdir=$folder/lent$2/upper,workdir=$folder/lent$2/work" "$root$2"
    }
    lend "${CARGO_HOME:-$HOME/.cargo}/registry" "$home/.cargo/registry"
    lend "$HOME/.cache/pip" "$home/.cache/pip"
    lend /var/cache/apt/archives /var/cache/apt/archives
    mkdir -p "$root/opt/rust"
    mount --bind "$(rustc --print sysroot)" "$root/opt/rust"
    mount -o remount,bind,ro "$root/opt/rust"
    mount -t proc proc "$root/proc"
    mount -t tmpfs dev "$root/dev"
    mkdir "$root/dev/shm" "$root/dev/pts"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    for device in null zero full random urandom tty; do
        touch "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    chmod 1777 "$root/dev/shm"
    "$@"
}

# In the machine, as root or as the user: a command with nothing of this machine's environment.
inside() { # root folder, user, home, command
    chroot "$1" env -i HOME="$3" USER="$2" LOGNAME="$2" LANG=C.UTF-8 TERM=dumb DEBIAN_FRONTEND=noninteractive \
        PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        $(env | grep -E "$settings" || true) \
        setpriv --reuid "$2" --regid "$2" --init-groups bash -c "cd '$3/hitherto' 2>/dev/null || cd '$3'; $4"
}

try() { # folder, person, home, command: what a newcomer does
    local root=$1/root person=$2 home=$3 command=$4 advice
    if [ "$person" != root ] && [ ! -d "$1/upper$home/hitherto/.venv" ]; then
        inside "$root" root /root "useradd --create-home --home-dir $home $person 2>/dev/null;
            chown -R $person: $home"
        echo "--- $person types: $command"
        if inside "$root" "$person" "$home" "$command" >"$1/advice" 2>&1; then
            cat "$1/advice"
            echo "--- nothing was missing, on a machine on which nothing is installed"
            return 1
        fi
        cat "$1/advice"
        advice=$(sed -n 's/^setup: run: sudo //p' "$1/advice")
        [ -n "$advice" ] || { echo "--- it did not say what to install"; return 1; }
        echo "--- root types: apt-get update && $advice"
        inside "$root" root /root "apt-get update -qq && $advice >/dev/null"
    fi
    echo "--- $person types: $command"
    inside "$root" "$person" "$home" "$command"
}
export -f machine inside try
export debian settings

mkdir -p "$BARE/logs"
failed=()
for run in "${runs[@]}"; do
    command="make ${run#*-}"
    grep -qx "    $command" README.md || { echo "bare-machine: README does not say '$command'" >&2; exit 1; }
    case $run in
    root-*) person=root home=/root ;;
    user-*) person=stranger home=/home/stranger ;;
    esac
    folder=$BARE/machines/${run%-*}
    [ -n "$keep" ] || rm -rf "$folder"
    mkdir -p "$folder/upper/etc/apt/preferences.d" "$folder/work" "$folder/root" "$folder/lent"
    if [ ! -d "$folder/upper$home/hitherto" ]; then
        mkdir -p "$folder/upper/etc/ssl/certs" "$folder/upper$home"
        for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
            [ ! -f "$file" ] || cp -L "$file" "$folder/upper$file"
        done
        git clone --quiet --no-hardlinks . "$folder/upper$home/hitherto"
        chown -R root: "$folder/upper$home"
    else
        clone=$folder/upper$home/hitherto
        owner=$(stat --format %u:%g "$clone")
        git -c safe.directory='*' -C "$clone" fetch --quiet "$PWD" HEAD
        git -c safe.directory='*' -C "$clone" reset --quiet --hard FETCH_HEAD
        chown -R "$owner" "$clone"
    fi
    if [ -n "$without" ]; then
        printf 'Package: %s\nPin: release *\nPin-Priority: -1\n' "$without" >"$folder/upper/etc/apt/preferences.d/without"
    fi
    log=$BARE/logs/$run.log
    started=$SECONDS
    echo "bare-machine: $run, $(git rev-parse --short HEAD), log in $log" >&2
    unshare --mount --pid --ipc --uts --fork --kill-child \
        bash -euo pipefail -c 'machine "$1" "$3" try "$1" "$2" "$3" "$4"' \
        bare-machine "$folder" "$person" "$home" "$command" </dev/null 2>&1 |
        while IFS= read -r line; do
            printf '%5d s  %s\n' "$((SECONDS - started))" "$line"
        done >"$log" &&
        ended=well || { ended=badly; failed+=("$run"); }
    echo "bare-machine: $run ended $ended after $((SECONDS - started)) s" | tee -a "$log" >&2
done
[ ${#failed[@]} = 0 ] || { echo "bare-machine: failed: ${failed[*]}" >&2; exit 1; }
