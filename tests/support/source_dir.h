#pragma once

namespace charm::test {

/// The repository's root, where the fixtures lie. A variable instead of a macro: the same command
/// line compiles every test, so they share precompiled headers and the compiler cache.
extern const char* const kSourceDir;

}  // namespace charm::test
