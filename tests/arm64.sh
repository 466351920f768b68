#!/bin/sh
# The runtime without torch in an arm64 Python under qemu: its descriptors beside those of here. Nothing outside FOLDER changes: Debian's arm64
# Python and the wheels are unpacked into it. Usage: tests/arm64.sh PYTHON FOLDER
set -eu
python=$1 folder=$2
packages="qemu-user-static g++-aarch64-linux-gnu"
for tool in apt-get dpkg qemu-aarch64-static aarch64-linux-gnu-g++; do
  command -v "$tool" >/dev/null 2>&1 || { echo "$tool is missing: apt-get install $packages"; exit 1; }
done
here=$(pwd)
mkdir -p "$folder/apt/lists/partial" "$folder/archives/partial" && folder=$(cd "$folder" && pwd)
touch "$folder/apt/status"
apt() {
  apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root -o Dir::State="$folder/apt" \
    -o Dir::State::status="$folder/apt/status" -o Dir::Cache::archives="$folder/archives" -o Dir::Cache::pkgcache= \
    -o Dir::Cache::srcpkgcache= "$@"
}
if [ ! -x "$folder/root/usr/bin/python3" ]; then
  echo "fetching Debian's arm64 Python"
  apt update
  apt install --download-only --no-install-recommends -y python3-minimal libpython3-stdlib libstdc++6 libgomp1
  for package in "$folder"/archives/*.deb; do dpkg -x "$package" "$folder/root"; done
fi
arm64() { qemu-aarch64-static -L "$folder/root" "$folder/root/usr/bin/python3" "$@"; }
version=$(arm64 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ ! -d "$folder/site/executorch" ]; then
  echo "fetching the wheels for arm64 and Python $version"
  wheels() {
    "$python" -m pip install --quiet --no-compile --constraint constraints.txt --target "$folder/site" --only-binary=:all: \
      --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 \
      --python-version "$version" "$@"
  }
  wheels 'numpy>=2.0' 'Pillow>=11' 'typer>=0.20' 'rich>=13'
  wheels --no-deps executorch==1.5.1
fi
PYTHONPATH=toolkit:tests "$python" -m helpers.arm64 make "$folder"
cd "$folder"
export CC=aarch64-linux-gnu-gcc CXX=aarch64-linux-gnu-g++ XDG_CACHE_HOME="$folder/cache" QEMU_LD_PREFIX="$folder/root"
echo "describing under qemu"
PYTHONPATH="$folder/site:$here/toolkit" PYTHONDONTWRITEBYTECODE=1 arm64 -m pocketvlad describe model.pte --photos photos \
  --out there.npz --force
cd "$here"
PYTHONPATH=toolkit:tests "$python" -m helpers.arm64 compare "$folder"
