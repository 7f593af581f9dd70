#!/usr/bin/env bash
# Makes .venv hold exactly what requirements.lock says, and the project itself. Installs uv, and python3-venv to install
# uv with, only where the machine has none. Run by make; safe to run again at any moment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cache=${GAMEDAY_CACHE:-$HOME/.cache/gameday}
python=${PYTHON:-python3}

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
beat=''
hush() { [[ -z $beat ]] || kill "$beat" 2>/dev/null || true; beat=''; }
trap hush EXIT

# Runs a command; off a terminal, where the command itself says nothing, tells every 10 s that it still runs.
step() {
    local what=$1 code=0
    shift
    say "$what"
    if [[ ! -t 2 ]]; then
        (while sleep 10 >/dev/null 2>&1 && kill -0 $$; do say "  $SECONDS s: $what"; done) &
        beat=$!
    fi
    "$@" || code=$?
    hush
    return "$code"
}

with_apt() {
    command -v apt-get >/dev/null || die "This needs $1; install it and run make again."
    [[ $(id -u) -eq 0 ]] || die "This needs Debian's $1. As root: apt-get install $1"
    step "Installing Debian's $1: to make a virtual environment with." apt_install "$1"
}

apt_install() {
    # Nothing that asks, and nothing beside what is asked for.
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update && apt-get -qq -o Dpkg::Use-Pty=0 install --yes --no-install-recommends "$1" >/dev/null
}

new_enough() { "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
have_uv() { uv=$1; "$uv" --version >/dev/null 2>&1; }

# Python: the machine's own.
command -v "$python" >/dev/null || with_apt python3-venv
new_enough || die "Python 3.11 or newer is needed; $python is $("$python" -V 2>&1). Name another: make PYTHON=python3.12 …"

# uv: the machine's, else one of our own in a virtual environment of its own, because Debian lets pip write nowhere else.
if ! have_uv "$cache/uv/bin/uv" && ! have_uv "$(command -v uv || true)"; then
    "$python" -c 'import ensurepip, venv' 2>/dev/null || with_apt python3-venv
    say "Installing uv from PyPI into $cache/uv, because this machine has none."
    "$python" -m venv --clear "$cache/uv"
    step "  pip install uv" "$cache/uv/bin/python" -m pip --quiet --disable-pip-version-check \
        install --require-hashes -r lab/tools/uv.lock
    have_uv "$cache/uv/bin/uv" || die "uv was installed into $cache/uv, but does not run."
fi

if ! .venv/bin/python -c '' 2>/dev/null; then
    say "Making .venv with $("$python" -V)."
    "$uv" venv --quiet --clear --python "$(command -v "$python")" .venv
fi
step "Installing the Python packages of requirements.lock into .venv." \
    "$uv" pip sync --require-hashes --python .venv/bin/python requirements.lock
step "Installing gameday itself, editable, into .venv." \
    "$uv" pip install --quiet --no-deps --python .venv/bin/python --editable .
