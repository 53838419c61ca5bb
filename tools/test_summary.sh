#!/usr/bin/env bash
# Says what the last ctest run of a build folder did, test by test (ctest itself counts suites):
#   which tests were skipped and why, then "N passed, N failed, N skipped".
# Usage: tools/test_summary.sh BUILD_DIR
set -euo pipefail
log=$1/Testing/Temporary/LastTest.log
awk '
  /^\[ RUN      \] /  { name = $4; reason = ""; next }
  /^\[       OK \] /  { passed++; next }
  /^\[  FAILED  \] .* ms\)$/ { failed++; next }
  /^\[  SKIPPED \] .* ms\)$/ { skipped++; printf "skipped: %s%s\n", name, reason; next }
  /: Skipped$/        { getline line; reason = ": " line; next }
  # A test program that is no GoogleTest binary.
  /^test result: ok/  { passed += $4; next }
  END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }
' "$log"
