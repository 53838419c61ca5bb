# charm_embed_files(<target> HEADER charm/x/embedded.h NAMESPACE charm::x FILES name=path ...)
# Puts files into the program's read-only data through the assembler's .incbin and declares `std::string_view name();` for each
# in a generated header. A string literal of this size would cost the compiler minutes and memory.
function(charm_embed_files target)
  cmake_parse_arguments(ARG "" "HEADER;NAMESPACE" "FILES" ${ARGN})
  set(declarations "")
  set(definitions "")
  set(paths "")
  string(MAKE_C_IDENTIFIER "${ARG_HEADER}" prefix)
  foreach(entry IN LISTS ARG_FILES)
    string(REGEX MATCH "^([a-z0-9_]+)=(.+)$" matched "${entry}")
    if(NOT matched)
      message(FATAL_ERROR "charm_embed_files: '${entry}' is not name=path")
    endif()
    set(name ${CMAKE_MATCH_1})
    get_filename_component(path ${CMAKE_MATCH_2} ABSOLUTE)
    if(NOT EXISTS ${path})
      message(FATAL_ERROR "${path} is missing: run tools/setup.sh, or set CHARM_NPM_ROOT")
    endif()
    list(APPEND paths ${path})
    string(APPEND declarations "std::string_view ${name}();\n")
    set(symbol ${prefix}_${name})
    string(APPEND definitions "
asm(\".section .rodata\\n\"
    \".global ${symbol}_begin\\n.global ${symbol}_end\\n\"
    \"${symbol}_begin:\\n.incbin \\\"${path}\\\"\\n${symbol}_end:\\n.byte 0\\n\"
    \".text\\n\");
extern \"C\" const char ${symbol}_begin[];
extern \"C\" const char ${symbol}_end[];
std::string_view ${ARG_NAMESPACE}::${name}() {
  return {${symbol}_begin, static_cast<std::size_t>(${symbol}_end - ${symbol}_begin)};
}
")
  endforeach()
  set(header ${CMAKE_BINARY_DIR}/generated/${ARG_HEADER})
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${target}_embedded.cpp)
  file(CONFIGURE OUTPUT ${header} @ONLY CONTENT
    "#pragma once\n\n#include <string_view>\n\nnamespace ${ARG_NAMESPACE} {\n${declarations}}  // namespace ${ARG_NAMESPACE}\n")
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT
    "#include \"${ARG_HEADER}\"\n\n#include <cstddef>\n// NOLINTBEGIN(readability-identifier-naming): symbols of the assembler\n${definitions}// NOLINTEND(readability-identifier-naming)\n")
  # The compiler does not report .incbin files as dependencies, and a unity unit does not take over OBJECT_DEPENDS of its sources.
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS "${paths}" SKIP_UNITY_BUILD_INCLUSION ON)
  target_sources(${target} PRIVATE ${source})
endfunction()
