#include "tests/fuzz/properties.h"

namespace charm::fuzz {

std::string mutate(std::string bytes, RandomStream& random) {
  for (std::uint64_t left = 1 + random.below(4); left > 0 && !bytes.empty(); --left) {
    const std::size_t at = random.below(bytes.size());
    switch (random.below(5)) {
      case 0:
        bytes[at] = static_cast<char>(random.below(256));
        break;
      case 1:
        bytes.resize(at);
        break;
      case 2:
        bytes.insert(at, bytes, at, random.below(30));
        break;
      case 3:
        bytes.erase(at, random.below(30));
        break;
      default:
        bytes.insert(at, 1, "{}[]\",:\\0\n"[random.below(10)]);
        break;
    }
  }
  return bytes;
}

}  // namespace charm::fuzz
