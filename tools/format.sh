#!/usr/bin/env bash
# Formats the C++ and Rust sources with the pinned clang-format and the toolchain's rustfmt.
#   tools/format.sh            rewrites files
#   tools/format.sh --check    changes nothing, names what is misformatted, exit code 1 if anything is
set -euo pipefail
cd "$(dirname "$0")/.."
clang_format=${CHARM_DEPS_DIR:-.deps}/wheels/clang_format/data/bin/clang-format
[ -x "$clang_format" ] || { echo "format: $clang_format is missing: run tools/setup.sh" >&2; exit 1; }
mapfile -t files < <(git ls-files --cached --others --exclude-standard '*.cpp' '*.h')
case ${1:-} in
  --check)
    status=0
    "$clang_format" --dry-run --Werror "${files[@]}" || status=1
    cargo fmt --manifest-path rust/charm_text/Cargo.toml --check || status=1
    [ $status = 0 ] || echo "format: run make format" >&2
    exit $status ;;
  "") "$clang_format" -i "${files[@]}" && cargo fmt --manifest-path rust/charm_text/Cargo.toml ;;
  *) echo "usage: tools/format.sh [--check]" >&2; exit 2 ;;
esac
