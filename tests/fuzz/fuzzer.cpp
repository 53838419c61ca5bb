// A libFuzzer program for one property, selected at build time.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "charm/base/log.h"
#include "tests/fuzz/properties.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  charm::log::set_level(charm::log::Level::kOff);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    charm::fuzz::CHARM_FUZZ_PROPERTY({reinterpret_cast<const char*>(data), size});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "broken: %s\n", error.what());
    std::abort();
  }
  return 0;
}
