#!/usr/bin/env bash
# Stand-ins for the NVIDIA libraries that libtorch_cuda.so names and that are not here (3 GB, of no use without a GPU): empty libraries
# whose functions trap. With them a program linked against torch_cuda starts on a machine without a GPU; real ones found earlier win.
#   tools/absent_cuda.sh TORCH_LIB_DIR OUTPUT_DIR      then: LD_LIBRARY_PATH=OUTPUT_DIR program
set -euo pipefail
torch_lib=$(cd "$1" && pwd)
mkdir -p "$2"
output=$(cd "$2" && pwd)
sources=$(mktemp -d)
trap 'rm -rf "$sources"' EXIT
loaded=()
for name in cuda python nvshmem cuda_linalg; do
  [ -e "$torch_lib/libtorch_$name.so" ] && loaded+=("$torch_lib/libtorch_$name.so")
done
nm -D --undefined-only "${loaded[@]}" |
  awk '$2 ~ /^(cublas|cudnn|cusparse|cufft|curand|nccl|cuFile|nvshmem|cusolver)/ {sub(/@.*/, "", $2); print $2}' |
  sort -u >"$sources/names"
awk '{print "void " $1 "(void) { __builtin_trap(); }"}' "$sources/names" >"$sources/absent.c"
gcc -shared -fPIC -o "$output/libcharm_absent_cuda.so" "$sources/absent.c"
# Libraries loaded only because another is there appear in the next pass.
for pass in 1 2 3; do
  for name in $(LD_LIBRARY_PATH=$output ldd "${loaded[@]}" | awk '/not found/ {print $1}' | sort -u); do
    echo "int charm_absent_library;" >"$sources/empty.c"
    gcc -shared -fPIC -Wl,-soname,"$name" -o "$output/$name" "$sources/empty.c" \
      -Wl,--no-as-needed -L"$output" -lcharm_absent_cuda -Wl,-rpath,'$ORIGIN'
  done
done
