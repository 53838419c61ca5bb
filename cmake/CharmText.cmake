# The Rust bridge (rust/charm_text) as charm_dep::text: built by cargo, or given ready made in CHARM_TEXT_LIB.
# All build folders share one cargo target folder, because the crates behind the bridge take minutes the first time; cargo locks it.
set(CHARM_TEXT_CRATE ${CMAKE_SOURCE_DIR}/rust/charm_text)

if(CHARM_TEXT_LIB)
  if(NOT EXISTS ${CHARM_TEXT_LIB})
    message(FATAL_ERROR "CHARM_TEXT_LIB: ${CHARM_TEXT_LIB} does not exist")
  endif()
  set(charm_text_archive ${CHARM_TEXT_LIB})
  add_custom_target(charm_text_bridge)
else()
  find_program(CHARM_CARGO cargo HINTS $ENV{CARGO_HOME}/bin $ENV{HOME}/.cargo/bin)
  if(NOT CHARM_CARGO)
    message(FATAL_ERROR "cargo is missing: install Rust (rustup), or set CHARM_TEXT_LIB to a prebuilt libcharm_text.a")
  endif()
  set(charm_text_archive ${CMAKE_BINARY_DIR}/rust/libcharm_text.a)
  file(GLOB charm_text_sources CONFIGURE_DEPENDS ${CHARM_TEXT_CRATE}/src/*.rs)
  add_custom_command(
    OUTPUT ${charm_text_archive}
    COMMAND ${CMAKE_COMMAND} -E env CARGO_TARGET_DIR=${CMAKE_SOURCE_DIR}/target
            ${CHARM_CARGO} build --quiet --locked --release --lib --manifest-path ${CHARM_TEXT_CRATE}/Cargo.toml
    COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_SOURCE_DIR}/target/release/libcharm_text.a ${charm_text_archive}
    DEPENDS ${CHARM_TEXT_CRATE}/Cargo.toml ${CHARM_TEXT_CRATE}/Cargo.lock ${charm_text_sources}
    COMMENT "Building the Rust bridge (the first time takes minutes)"
    VERBATIM)
  add_custom_target(charm_text_bridge DEPENDS ${charm_text_archive})
endif()

add_library(charm_dep_text STATIC IMPORTED GLOBAL)
set_target_properties(charm_dep_text PROPERTIES
  IMPORTED_LOCATION ${charm_text_archive}
  INTERFACE_LINK_LIBRARIES "Threads::Threads;m;${CMAKE_DL_LIBS}")
target_include_directories(charm_dep_text SYSTEM INTERFACE ${CHARM_TEXT_CRATE}/include)
add_dependencies(charm_dep_text charm_text_bridge)
add_library(charm_dep::text ALIAS charm_dep_text)
