#!/usr/bin/env bash
# Packs what a build needs besides a compiler, CMake, ninja, torch and pyarrow into gpu-bundle/bundle.tar.gz, so that tools/gpu_check.sh
# can build charm on a GPU machine that has no network, no cargo and none of the Debian packages. x86-64 Linux, made on Debian or Ubuntu.
#   tools/gpu_bundle.sh [FOLDER]         then take the repository with FOLDER (gpu-bundle by default) along
# The Rust bridge comes from CHARM_TEXT_LIB, or from a build that is here already.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf 'gpu bundle: %s\n' "$*" >&2; }
output=${1:-gpu-bundle}
deps=${CHARM_DEPS_DIR:-.deps}
text_lib=${CHARM_TEXT_LIB:-target/release/libcharm_text.a}
[ -f "$text_lib" ] || { say "$text_lib is missing: build charm first, or set CHARM_TEXT_LIB"; exit 1; }
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# Headers, libraries and CMake files of the packages that tools/setup.sh installs.
packages=(libfmt-dev nlohmann-json3-dev libcurl4-openssl-dev libyaml-cpp-dev libhwy-dev libgtest-dev
          libgmock-dev libssl-dev zlib1g-dev)
for package in "${packages[@]}"; do
  dpkg -L "$package" | while read -r path; do
    [ -f "$path" ] || [ -L "$path" ] || continue
    [ ! -d "$path" ] || continue
    case $path in
      */libhwy_* | */cmake/hwy/*) ;;  # parts of it that nothing here uses
      /usr/include/* | */libg*.a | */libyaml-cpp.a | *.so | *.so.* | */cmake/*) cp --parents -P "$path" "$root" ;;
    esac
  done
done
cp -r "$root"/usr/include/x86_64-linux-gnu/. "$root/usr/include"  # other distributions do not look there
# The shared libraries themselves and what they load; those of the C and C++ runtimes stay behind.
folder=$root/usr/lib/x86_64-linux-gnu
find "$root" -name '*.so' -type l -printf '%P\n' | while read -r link; do
  ln -sf "$(basename "$(realpath "/$link")")" "$root/$link"
  { realpath "/$link"; ldd "/$link" | awk '/=> \// {print $3}'; } |
    grep -vE '/(libc|libm|libdl|librt|libpthread|libresolv|ld-linux[^/]*|libstdc\+\+|libgcc_s)\.so' | while read -r library; do
    file=$(basename "$(realpath "$library")")
    soname=$(objdump -p "$library" | awk '/SONAME/ {print $2}')
    cp -f "$(realpath "$library")" "$folder/$file"
    [ "$soname" = "$file" ] || ln -sf "$file" "$folder/$soname"
  done
done
for file in vega/build/vega.min.js vega-lite/build/vega-lite.min.js vega-embed/build/vega-embed.min.js vega/LICENSE vega-lite/LICENSE \
            vega-embed/LICENSE; do
  mkdir -p "$root/npm/$(dirname $file)" && cp "$deps/npm/$file" "$root/npm/$file"
done
cp "$text_lib" "$root/libcharm_text.a"
objcopy --strip-debug "$root/libcharm_text.a"

mkdir -p "$output"
tar -C "$root" -czf "$output/bundle.tar.gz" .
say "$output/bundle.tar.gz: $(du -h "$output/bundle.tar.gz" | cut -f1)"
