#!/bin/sh
# Installs the wheel in dist/ into a fresh environment, outside of the checkout, and tries it.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
unset PYTHONPATH  # pip would take the checkout for the installed package
wheel=$(ls "$root"/dist/edge3d-*.whl)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

python=${PYTHON:-python3}
"$python" -m venv "$out/venv"
"$out/venv/bin/pip" install --quiet --disable-pip-version-check \
    --constraint constraints.txt "$wheel[cli]"

# Everything that git tracks below edge3d/ is in the wheel.
git ls-files edge3d | sort >"$out/tracked"
"$python" -m zipfile --list "$wheel" | awk '{print $1}' | grep '^edge3d/' | sort >"$out/packed"
missing=$(comm -23 "$out/tracked" "$out/packed")
[ -z "$missing" ] || {
    printf 'dist: not in the wheel:\n%s\n' "$missing" >&2
    exit 1
}

cd "$out"
"$out/venv/bin/python" - <<'EOF'
from importlib.metadata import metadata, version

import edge3d
from edge3d.bundled import default_model_path, portrait_path

assert version("edge3d") == edge3d.__version__, (version("edge3d"), edge3d.__version__)
about = metadata("edge3d")
assert "LicenseRef" in about["License-Expression"], about["License-Expression"]
assert len(about.get_all("License-File")) >= 4, about.get_all("License-File")
(face,) = edge3d.FaceReconstructor(default_model_path()).reconstruct(
    edge3d.read_image(portrait_path())
)
assert face.landmarks_px.shape == (68, 3) and abs(face.pose.yaw_deg) < 20, face.pose
print(f"dist: the wheel reconstructs the portrait, yaw {face.pose.yaw_deg:.1f} degrees")
EOF
portrait=$("$out/venv/bin/python" -c 'from edge3d.bundled import portrait_path; print(portrait_path())')
model=$("$out/venv/bin/python" -c 'from edge3d.bundled import default_model_path; print(default_model_path())')
"$out/venv/bin/edge3d" --version
"$out/venv/bin/edge3d" info "$model" >/dev/null
"$out/venv/bin/edge3d" reconstruct "$portrait" --out result --save overlay,json,glb >/dev/null
[ -n "$(find result -name '*.glb')" ] || {
    echo "dist: edge3d reconstruct wrote no GLB" >&2
    exit 1
}
echo "dist: the edge3d command works from the wheel"
