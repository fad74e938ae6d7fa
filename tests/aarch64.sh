#!/usr/bin/env bash
# pycodec selftest on an emulated aarch64: the native core's generic build, with Debian's Python and PyPI's wheels for that
# machine, all of it below build/aarch64 and kept there. Needs a Debian with apt-get, a network the first time, and
#   apt-get install qemu-user g++-aarch64-linux-gnu
# Arguments are those of pycodec; by default selftest.
set -euo pipefail
cd "$(dirname "$0")/.."
place=$PWD/build/aarch64 root=$PWD/build/aarch64/root site=$PWD/build/aarch64/site
torch=2.8.0 # the last whose wheel from PyPI is for CPUs alone

if [ ! -d "$root" ]; then
  mkdir -p "$place"/apt/{lists,cache/archives}/partial
  : > "$place/apt/status"
  # Debian's packages for the other machine, beside those of this one and not among them.
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main" \
    > "$place/apt/sources.list"
  apt=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State="$place/apt"
    -o Dir::State::status="$place/apt/status" -o Dir::Cache="$place/apt/cache" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::Etc::sourcelist="$place/apt/sources.list" -o APT::Sandbox::User=root)
  "${apt[@]}" update
  "${apt[@]}" install -y --no-install-recommends --download-only \
    python3.11-minimal libpython3.11-stdlib libpython3.11-dev libstdc++6 libgomp1
  for package in "$place"/apt/cache/archives/*.deb; do dpkg-deb -x "$package" "$root.part"; done
  mv "$root.part" "$root"
fi
if [ ! -d "$site" ]; then
  pip=(python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.11 --dest "$place/wheels")
  for tag in 2_28 2_27 2_17; do pip+=(--platform "manylinux_${tag}_aarch64"); done
  "${pip[@]}" "torch==$torch" numpy pillow safetensors pluggy click platformdirs rich markdown-it-py mdurl pygments \
    typing-extensions sympy mpmath networkx jinja2 markupsafe fsspec filelock packaging scipy
  for wheel in "$place"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$site.part"; done
  mv "$site.part" "$site"
fi

export QEMU_LD_PREFIX=$root OMP_NUM_THREADS=1 DNNL_VERBOSE=0
python=(qemu-aarch64 "$root/usr/bin/python3.11")
# The emulated Python runs setup.py, and this machine's programs from there: the cross compiler, and ninja.
tools=$(python3 -c 'import ninja, os, pybind11, setuptools; print(os.pathsep.join({os.path.dirname(os.path.dirname(
  m.__file__)) for m in (ninja, pybind11, setuptools)}))')
PYTHONPATH=$tools PYCODEC_CUDA=0 CXX=aarch64-linux-gnu-g++ LDFLAGS=-Wl,--as-needed \
  CXXFLAGS="-isystem $root/usr/include/python3.11 -isystem $root/usr/include" \
  "${python[@]}" setup.py -q build_ext --inplace

PYTHONPATH=$PWD:$PWD/plugins:$site "${python[@]}" -m pycodec "${@:-selftest}"
