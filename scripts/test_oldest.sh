#!/bin/sh
# Runs the core's tests with the oldest versions that pyproject.toml allows (constraints-oldest.txt).
# PYTHON_OLDEST names a Python 3.10 to 3.12; the oldest NumPy has no wheels for later ones.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON_OLDEST:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info >= (3, 13))' || {
    echo "oldest: $("$python" --version) is too new; set PYTHON_OLDEST to a Python 3.10 to 3.12" >&2
    exit 1
}
[ -x .venv-oldest/bin/python ] || "$python" -m venv .venv-oldest
.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check \
    --constraint constraints-oldest.txt --editable '.[evaluate]' pytest
OMP_NUM_THREADS=${OMP_NUM_THREADS:-2} .venv-oldest/bin/python -m pytest \
    -p no:cacheprovider tests/geometry tests/io tests/model tests/face_model tests/detector \
    tests/reconstruct tests/tracker tests/viz
