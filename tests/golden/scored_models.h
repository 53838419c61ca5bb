#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "charm/engine/token_batch.h"
#include "tests/golden/golden_fixture.h"

// The tiny reward models under tests/data/golden/models and what compares their scores.
namespace charm::golden {

inline const char* const kModels[] = {
    "gqa", "mha-v4", "tied-sharded", "llama3-rope", "llama3-rope-v4", "linear-rope-v4", "biases",
    "head-dim", "bf16", "chat",
    // other rope kinds, families and heads
    "yarn-rope", "yarn-rope-v4", "dynamic-rope", "dynamic-rope-closed", "gelu-new", "quick-gelu",
    "relu", "relu2", "longrope", "longrope-v4", "mistral", "qwen2", "qwen2-layer-types", "qwen3",
    "qwen3-head-dim", "gemma2", "gemma2-v4", "gemma3", "gemma3-v4", "gemma", "gemma-v4", "olmo2",
    "olmo2-v4", "olmo3", "olmo3-v4", "mixtral", "mixtral-v4", "qwen3-moe", "qwen3-moe-v4", "phi3",
    "phi3-v4", "phi4-mini", "gemma3-wrapper", "gemma3-wrapper-v4", "qwen2.5-vl", "qwen2.5-vl-v4",
    "qwen2-vl", "qwen3-vl", "inf-orm", "grm", "grm-linear", "regression-head-mistral",
    "regression-head-llama", "qwen2-reward-model", "armorm",
    // twins of published reward models
    "skywork-llama-3.1-8b-v0.2", "fsfairx-llama3-rm-v0.1", "rm-mistral-7b", "grm-llama3-8b-distill",
    "btrm-qwen2-7b-0613", "skywork-v2-llama-3.2-1b", "skywork-v2-llama-3.2-3b",
    "skywork-v2-llama-3.1-8b", "skywork-v2-qwen3-0.6b", "skywork-v2-qwen3-1.7b",
    "skywork-v2-qwen3-4b", "skywork-v2-qwen3-8b", "skywork-gemma-2-27b-v0.2", "rm-gemma-2b",
    "rm-gemma-7b", "grm-llama3-8b-sftreg", "inf-orm-llama3.1-70b", "qwen2.5-math-rm-72b",
    "eurus-rm-7b", "ultrarm-13b", "olmo-2-1124-7b-rm", "mixtral-8x7b-instruct-v0.1",
    "qwen3-30b-a3b", "phi-3-mini-4k-instruct"};

/// Models that are scored on the CPU alone.
inline const char* const kCpuModels[] = {"qwen3.5", "qwen3.5-v4", "qwen3.5-wrapper",
                                         "gemma4",  "gemma4-v4",  "gemma4-wrapper"};

inline engine::PackedBatch pack_rows(const Json& rows, std::int32_t pad_token_id,
                                     const std::vector<std::int32_t>& gate_tokens) {
  std::vector<std::pair<std::size_t, engine::PooledRow>> pooled;
  for (const Json& row : rows) {
    pooled.emplace_back(pooled.size(),
                        engine::make_pooled_row(row["ids"].get<std::vector<std::int32_t>>(),
                                                row["prompt_length"].get<std::int64_t>(),
                                                pad_token_id, gate_tokens));
  }
  return engine::pack(engine::group_by_prompt(std::move(pooled)));
}

inline void compare_scores(const std::string& rung, const std::vector<float>& scores,
                           const engine::PackedBatch& batch, const Json& fixture, const char* key,
                           double tolerance) {
  ASSERT_EQ(scores.size(), fixture["rows"].size());
  Worst worst(rung);
  for (std::size_t s = 0; s < scores.size(); ++s) {
    worst.add(scores[s], fixture["rows"][batch.rows[s]][key].get<double>(),
              "row " + std::to_string(batch.rows[s]));
  }
  worst.check(tolerance);
}

}  // namespace charm::golden
