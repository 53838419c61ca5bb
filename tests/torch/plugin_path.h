#pragma once

namespace charm::test {

/// libcharm_torch.so of this build.
extern const char* const kPluginPath;

}  // namespace charm::test
