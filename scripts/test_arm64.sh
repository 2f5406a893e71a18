#!/bin/sh
# Exports the bundled student and compares it on an emulated arm64 CPU with PyTorch on this one.
# ARM64 names the folder of the user space, which is kept for the next time.
set -eu
cd "$(dirname "$0")/.."
space=${ARM64:-.arm64}
sh scripts/arm64.sh "$space" || {
    echo "arm64: SKIPPED, nothing was tested"
    exit 0
}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for target in tflite onnx; do
    .venv/bin/edge3d export --target "$target" --precision all --out "$out"
done
.venv/bin/edge3d validate "$out" --arm64 "$space"
