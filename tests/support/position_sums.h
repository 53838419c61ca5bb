#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "charm/engine/token_batch.h"

namespace charm::test {

/// For fake reward models: scores that are sums over a sequence's tokens and positions, whatever
/// else is in the batch.
inline std::vector<float> position_sums(const engine::PackedBatch& batch) {
  std::vector<float> scores;
  for (const engine::Segment& s : batch.responses) {
    double sum = 0.0;
    const auto add = [&](std::int64_t begin, std::int64_t length) {
      for (std::int64_t i = begin; i < begin + length; ++i) {
        sum += batch.ids[static_cast<std::size_t>(i)] *
               (1.0 + batch.positions[static_cast<std::size_t>(i)]);
      }
    };
    add(s.prompt_begin, s.prompt_length);
    add(s.response_begin, s.response_length);
    scores.push_back(static_cast<float>(sum));
  }
  return scores;
}

}  // namespace charm::test
