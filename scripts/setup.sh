#!/bin/sh
# Makes .venv with everything the project needs, at the versions in constraints.txt.
# If that is not possible, says what is missing.
set -eu
cd "$(dirname "$0")/.."

fail() {
    printf 'setup: %s\n' "$1" >&2
    exit 1
}

python=${PYTHON:-python3}
command -v "$python" >/dev/null 2>&1 ||
    fail "no '$python' found; install Python 3.10 or newer, or run: make PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "$("$python" --version) is too old; Python 3.10 or newer is needed (make PYTHON=...)"
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "$python has no venv module; on Debian and Ubuntu: apt install python3-venv"

[ -x .venv/bin/python ] || "$python" -m venv .venv
echo "setup: installing into .venv (3.2 GB on disk, a few minutes)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --constraint constraints.txt --editable '.[all,dev]' ||
    fail "pip could not install the packages above; is a package index reachable, and are 6 GB of disk free?"
touch .venv/.ready
