# Third-party libraries as IMPORTED targets named charm_dep::<name>; each is used by exactly one folder.

find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(ZLIB REQUIRED)
find_package(CURL REQUIRED)
find_package(Threads REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(HWY QUIET)
find_package(Boost 1.74 REQUIRED)  # headers only: Beast and Asio

# charm_imported_library(<target> <file> <what to do when it is missing>)
function(charm_imported_library target location otherwise)
  if(NOT EXISTS ${location})
    message(FATAL_ERROR "${location} is missing: ${otherwise}")
  endif()
  add_library(${target} SHARED IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES IMPORTED_LOCATION ${location})
endfunction()

# --- Arrow and Parquet from the pyarrow wheel.
file(GLOB CHARM_LIBARROW ${CHARM_PYARROW_ROOT}/libarrow.so.*)
file(GLOB CHARM_LIBPARQUET ${CHARM_PYARROW_ROOT}/libparquet.so.*)
set(without_pyarrow "run tools/setup.sh, or set CHARM_PYARROW_ROOT")
charm_imported_library(charm_dep::libarrow "${CHARM_LIBARROW}" "${without_pyarrow}")
charm_imported_library(charm_dep::libparquet "${CHARM_LIBPARQUET}" "${without_pyarrow}")
add_library(charm_dep_arrow INTERFACE)
target_include_directories(charm_dep_arrow SYSTEM INTERFACE ${CHARM_PYARROW_ROOT}/include)
target_link_libraries(charm_dep_arrow INTERFACE charm_dep::libparquet charm_dep::libarrow)
add_library(charm_dep::arrow ALIAS charm_dep_arrow)

# --- Highway (Debian ships pkg-config files only on some releases).
find_library(CHARM_HWY_LIBRARY hwy REQUIRED)
add_library(charm_dep::hwy UNKNOWN IMPORTED GLOBAL)
set_target_properties(charm_dep::hwy PROPERTIES IMPORTED_LOCATION ${CHARM_HWY_LIBRARY})

# --- LibTorch, for the GPU back end alone: own targets instead of find_package(Torch), which would pull in CUDA toolkits.
if(CHARM_TORCH)
  set(without_torch "run tools/setup.sh --torch, or set CHARM_TORCH_ROOT")
  charm_imported_library(charm_dep::c10 ${CHARM_TORCH_ROOT}/lib/libc10.so "${without_torch}")
  charm_imported_library(charm_dep::torch_cpu ${CHARM_TORCH_ROOT}/lib/libtorch_cpu.so "${without_torch}")
  add_library(charm_dep_torch INTERFACE)
  # The wheel ships headers of another fmt than the one we link: a folder that holds only ours comes before them.
  find_path(CHARM_FMT_INCLUDE fmt/format.h REQUIRED)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/fmt_first)
  file(CREATE_LINK ${CHARM_FMT_INCLUDE}/fmt ${CMAKE_BINARY_DIR}/fmt_first/fmt SYMBOLIC)
  target_include_directories(charm_dep_torch SYSTEM INTERFACE ${CMAKE_BINARY_DIR}/fmt_first
    ${CHARM_TORCH_ROOT}/include ${CHARM_TORCH_ROOT}/include/torch/csrc/api/include)
  target_link_libraries(charm_dep_torch INTERFACE charm_dep::torch_cpu charm_dep::c10)
  if(CHARM_CUDA)
    # Nothing refers to torch_cuda by symbol: its kernels register themselves when it is loaded.
    charm_imported_library(charm_dep::c10_cuda ${CHARM_TORCH_ROOT}/lib/libc10_cuda.so "${without_torch}")
    charm_imported_library(charm_dep::torch_cuda ${CHARM_TORCH_ROOT}/lib/libtorch_cuda.so "${without_torch}")
    # The NVIDIA libraries behind them are found when the program starts (beside the wheel, or on LD_LIBRARY_PATH); linking needs none.
    target_link_libraries(charm_dep_torch INTERFACE
      -Wl,--no-as-needed charm_dep::c10_cuda charm_dep::torch_cuda -Wl,--as-needed)
    target_link_options(charm_dep_torch INTERFACE -Wl,--allow-shlib-undefined)
  endif()
  add_library(charm_dep::torch ALIAS charm_dep_torch)
endif()
