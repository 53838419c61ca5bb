#pragma once

namespace charm::test {

/// Shared libraries made of tests/unit/engine/stub_plugin.cpp.
extern const char* const kPluginWithoutGpu;
extern const char* const kPluginOfAnotherVersion;
extern const char* const kNotAPlugin;

}  // namespace charm::test
