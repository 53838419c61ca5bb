#!/usr/bin/env bash
# Brings a new machine to the point where CMake can build charm. Safe to run again: what is there is kept.
#   1. Debian packages (installed when we may, otherwise named)
#   2. pinned wheels and npm packages of cmake/versions.txt, checked by SHA-256, unpacked under .deps/
#   3. a Rust toolchain check and, once per Cargo.lock, the crates
# With --lint also clang-tidy, for `make lint`; with --torch also torch, for the GPU back end (presets torch and cuda).
# Python's pip and npm serve only as download clients; the built program needs neither.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

packages=(g++ cmake ninja-build ccache mold make git pkg-config ca-certificates python3 python3-pip unzip curl
          libfmt-dev nlohmann-json3-dev libcurl4-openssl-dev libyaml-cpp-dev libboost-dev
          libhwy-dev libgtest-dev libgmock-dev libbenchmark-dev libssl-dev zlib1g-dev)
missing=()
for p in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
# A Python with pip and a node with npm may come from elsewhere than Debian.
python3 -m pip --version >/dev/null 2>&1 && missing=("${missing[@]/python3-pip/}") && missing=("${missing[@]/python3/}")
command -v npm >/dev/null || missing+=(npm)
command -v cargo >/dev/null || [ -n "${CHARM_TEXT_LIB:-}" ] || missing+=(cargo rustc)
read -r -a missing <<<"${missing[*]}"
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ]; then sudo=""; elif sudo -n true 2>/dev/null; then sudo=sudo; else
    die "these Debian packages are missing and this user may not install them: ${missing[*]}"
  fi
  say "installing ${missing[*]}"
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

deps=${CHARM_DEPS_DIR:-.deps}
mkdir -p "$deps"
fetch() {  # kind name version file sha256
  local kind=$1 name=$2 version=$3 file=$4 sha=$5 stamp="$deps/.$2-$3.done" tmp
  [ -f "$stamp" ] && return
  tmp=$(mktemp -d "$deps/.fetch-XXXXXX")
  say "fetching $name $version"
  case $kind in
    wheel|lint|torch) python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.11 \
             --implementation cp --abi cp311 --abi none --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 \
             --platform manylinux2014_x86_64 --platform any -d "$tmp" "$name==$version" ;;
    npm)   (cd "$tmp" && npm pack --silent "$name@$version" >/dev/null) ;;
  esac
  [ -f "$tmp/$file" ] || die "$name $version: expected the file $file, found: $(ls "$tmp")"
  echo "$sha  $tmp/$file" | sha256sum --check --quiet - >&2 || die "$file: SHA-256 differs from cmake/versions.txt"
  case $kind in
    wheel|lint|torch) mkdir -p "$deps/wheels" && python3 -m zipfile -e "$tmp/$file" "$deps/wheels"
                find "$deps/wheels" -path '*/data/bin/clang-*' -exec chmod +x {} + ;;  # zipfile drops the mode
    npm)   mkdir -p "$deps/npm/$name" && tar xzf "$tmp/$file" -C "$deps/npm/$name" --strip-components=1 ;;
  esac
  rm -rf "$tmp" && touch "$stamp"
}
while read -r kind name version file sha; do
  case $kind in
    wheel|npm) fetch "$kind" "$name" "$version" "$file" "$sha" ;;
    lint|torch) [ "${1:-}" != "--$kind" ] || fetch "$kind" "$name" "$version" "$file" "$sha" ;;
  esac
done <cmake/versions.txt

if [ -z "${CHARM_TEXT_LIB:-}" ] && [ -f rust/charm_text/Cargo.toml ]; then
  cargo fetch --locked --quiet --manifest-path rust/charm_text/Cargo.toml
fi
say "ready"
