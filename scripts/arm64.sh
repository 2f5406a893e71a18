#!/bin/sh
# Makes a folder with an arm64 user space for `edge3d validate --arm64 FOLDER`: qemu, Debian's
# Python, and the runtimes' wheels at the versions of constraints.txt. Nothing is installed, and
# root is not needed. Exit code 3 and one line say why it cannot be made.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "${1:-.arm64}"
folder=$(cd "${1:-.arm64}" && pwd)
wheels="numpy opencv-python-headless ai-edge-litert onnxruntime ml_dtypes protobuf flatbuffers"
log=$folder/log

fail() {
    printf 'arm64: %s (see %s)\n' "$1" "$log" >&2
    exit 3
}

stamp=$(cksum constraints.txt "$0")
[ "$(cat "$folder/.ready" 2>/dev/null)" != "$stamp" ] || exit 0
command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
    fail "apt-get and dpkg are needed, of Debian or Ubuntu"
rm -rf "$folder/root" "$folder/site" "$folder/qemu" "$folder/.ready"

# Downloads packages of an architecture, with what they depend on, and unpacks them into a folder.
unpack() {
    into=$1 own=$folder/apt-$2
    mkdir -p "$own/lists/partial" "$own/cache/archives/partial" "$into"
    : >"$own/status"
    cat >"$own/apt.conf" <<CONF
Dir::State "$own"; Dir::State::status "$own/status"; Dir::State::lists "$own/lists";
Dir::Cache "$own/cache"; APT::Architecture "$2"; APT::Architectures { "$2"; };
APT::Install-Recommends "0"; APT::Sandbox::User ""; Debug::NoLocking "1";
CONF
    shift 2
    APT_CONFIG=$own/apt.conf apt-get update >>"$log" 2>&1 || fail "no Debian mirror within reach"
    APT_CONFIG=$own/apt.conf apt-get install -y --download-only "$@" >>"$log" 2>&1 ||
        fail "cannot download $*"
    for package in "$own"/cache/archives/*.deb; do
        dpkg -x "$package" "$into" || fail "cannot unpack $package"
    done
    rm -rf "$own"
}

: >"$log"
echo "arm64: making $folder (360 MB, a minute)"
unpack "$folder/root" arm64 python3 libgomp1 libstdc++6
mkdir -p "$folder/qemu"
if command -v qemu-aarch64-static >/dev/null; then
    cp "$(command -v qemu-aarch64-static)" "$folder/qemu/"
else
    unpack "$folder/unpacked" "$(dpkg --print-architecture)" qemu-user-static
    cp "$folder/unpacked/usr/bin/qemu-aarch64-static" "$folder/qemu/"
    rm -rf "$folder/unpacked"
fi

# The runtimes crash at start without an ARM core's description in these places.
mkdir -p "$folder/root/proc" "$folder/root/sys/devices/system/cpu"
for name in possible present online; do
    echo 0 >"$folder/root/sys/devices/system/cpu/$name"
done
cat >"$folder/root/proc/cpuinfo" <<'CPU'
processor	: 0
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x3
CPU part	: 0xd0c
CPU revision	: 1
CPU

version=$(basename "$(readlink "$folder/root/usr/bin/python3")" | sed 's/python//')
platforms=
for glibc in 2_28 2_27 2_17; do
    platforms="$platforms --platform manylinux_${glibc}_aarch64"
done
# shellcheck disable=SC2086
.venv/bin/python -m pip install --quiet --disable-pip-version-check --target "$folder/site" \
    $platforms --platform manylinux2014_aarch64 --only-binary=:all: --no-deps \
    --implementation cp --python-version "$version" --constraint constraints.txt \
    $wheels >>"$log" 2>&1 || fail "pip cannot download the runtimes for arm64"
printf '%s' "$stamp" >"$folder/.ready"
