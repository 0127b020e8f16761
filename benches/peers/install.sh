#!/bin/sh
# Installs the engines that Hitherto is measured beside, below the folder that is
# named (default: ~/.cache/hitherto/peers). What is there already stays as it is;
# remove a folder to get the newest releases.
#
#   engines       DuckDB and Polars
#   feast         Feast, whose requirements hold others back
#   redis         redis-py
#   redis-server  Redis itself, from Debian's packages unless it is on PATH;
#                 unpacked, not installed, so that no service is started
set -eu

home=${1:-$HOME/.cache/hitherto/peers}
python=${PYTHON:-python3}

# environment NAME PACKAGE...: complete once its file `asked` lists these
# packages. Beside it `installed` lists the releases.
environment() {
    folder=$home/$1
    shift
    if [ "$(cat "$folder/asked" 2> /dev/null)" = "$*" ]; then
        return
    fi
    echo "installing $* into $folder"
    [ -x "$folder/bin/pip" ] || "$python" -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
    "$folder/bin/pip" freeze --disable-pip-version-check > "$folder/installed"
    echo "$*" > "$folder/asked"
}

# unpacked NAME PACKAGE...: Debian packages, and NAME/NAME, which runs the binary
# of that name with the libraries that came along.
unpacked() {
    folder=$home/$1
    binary=$folder/usr/bin/$1
    if command -v "$1" > /dev/null || [ -x "$folder/$1" ]; then
        return
    fi
    echo "unpacking $1 into $folder"
    rm -rf "$folder"
    mkdir "$folder"
    shift
    (
        cd "$folder"
        apt-get download --quiet "$@"
        for package in *.deb; do dpkg-deb --extract "$package" .; done
        rm ./*.deb
    )
    libraries=$(echo "$folder"/usr/lib/*-linux-gnu*)
    printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' "$libraries" "$binary" \
        > "$folder/unpacked"
    chmod +x "$folder/unpacked"
    mv "$folder/unpacked" "$folder/${binary##*/}"
}

mkdir -p "$home"
environment engines duckdb polars pyarrow pandas numpy
environment feast 'feast[redis,grpcio]'
environment redis 'redis[hiredis]' pyarrow numpy
unpacked redis-server redis-server redis-tools liblzf1 libjemalloc2 libatomic1
