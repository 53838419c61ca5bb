#include "charm/records/held_out.h"

#include <fmt/format.h>

#include <string>

#include "charm/base/hashing.h"

namespace charm {

bool is_held_out(const Conversation& prompt, std::uint64_t seed, double share) {
  const std::string hash =
      sha256_hex(fmt::format("hold out, seed {}: {}", seed, conversation_json(prompt)));
  const auto bits = std::stoull(hash.substr(0, 13), nullptr, 16);  // 52 bits: exact in a double
  return static_cast<double>(bits) < share * 0x1p52;
}

}  // namespace charm
