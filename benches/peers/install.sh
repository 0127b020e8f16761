#!/bin/sh
# Installs the engines that Hitherto is measured beside: Python environments
# below the folder that is named (default: ~/.cache/hitherto/peers). What is
# there already stays as it is; remove a folder to get the newest releases.
#
#   engines  DuckDB and Polars
#   feast    Feast, whose requirements hold others back
set -eu

home=${1:-$HOME/.cache/hitherto/peers}
python=${PYTHON:-python3}

# environment NAME PACKAGE...: complete once it holds the file `installed`,
# which lists the releases.
environment() {
    folder=$home/$1
    shift
    if [ -f "$folder/installed" ]; then
        return
    fi
    echo "installing $* into $folder"
    rm -rf "$folder"
    "$python" -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
    "$folder/bin/pip" freeze --disable-pip-version-check > "$folder/installing"
    mv "$folder/installing" "$folder/installed"
}

mkdir -p "$home"
environment engines duckdb polars pyarrow pandas numpy
environment feast feast
