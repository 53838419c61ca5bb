#include "tests/support/source_dir.h"

namespace charm::test {

constinit const char* const kSourceDir = CHARM_SOURCE_DIR;

}  // namespace charm::test
