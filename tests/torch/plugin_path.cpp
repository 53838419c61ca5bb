#include "tests/torch/plugin_path.h"

namespace charm::test {

constinit const char* const kPluginPath = CHARM_PLUGIN_PATH;

}  // namespace charm::test
