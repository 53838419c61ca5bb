#include "tests/support/stub_plugins.h"

namespace charm::test {

constinit const char* const kPluginWithoutGpu = CHARM_PLUGIN_WITHOUT_GPU;
constinit const char* const kPluginOfAnotherVersion = CHARM_PLUGIN_OF_ANOTHER_VERSION;
constinit const char* const kNotAPlugin = CHARM_NOT_A_PLUGIN;

}  // namespace charm::test
