#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "charm/pipeline/problems.h"
#include "charm/pipeline/recipe.h"

namespace charm::engine {
struct DecoderConfig;
}

namespace charm::pipeline {

/// Sizes of a run, from the recipe's files: what its estimates are computed from.
struct RunSize {
  std::int64_t num_responses = 0;
  std::int64_t num_common = 0;    ///< prompts that every policy answers
  std::int64_t num_fit = 0;       ///< of them, for calibration and training
  std::int64_t num_held_out = 0;  ///< of them, held out
  double text_bytes = 0.0;        ///< of prompts and responses
  double score_tokens = 0.0;      ///< of all responses, each prompt once
  double response_tokens = 0.0;   ///< mean of a conversation
  double benchmark_tokens = 0.0;  ///< of all benchmark rows
};

/// Seconds of the steps that compute, on an idle machine; how well they hold is in
/// docs/performance.md.
struct TimeEstimate {
  double score_s = 0.0;
  double train_s = 0.0;
  double rescore_s = 0.0;
  double evaluate_s = 0.0;
  double total_s() const { return score_s + train_s + rescore_s + evaluate_s; }
};

/// An amount that the run needs and what this machine has.
struct Resource {
  std::int64_t needed_bytes = 0;
  std::int64_t available_bytes = 0;
};

/// What can be known about a recipe before any work.
struct RecipeCheck {
  Problems problems;               ///< each would end the run
  std::vector<std::string> notes;  ///< what is unusual, and what could not be checked
  std::string model;               ///< architecture, size and head of the reward model
  std::int64_t num_policies = 0;
  std::int64_t num_rated = 0;  ///< policies with a rating
  RunSize size;
  std::optional<TimeEstimate> time;  ///< none on a GPU
  std::optional<Resource> memory;
  std::optional<Resource> disk;
};

/// Checks names, model, tokenizer, template, prompt counts, benchmarks, memory and disk. Sources
/// of the Hub that are not local yet are noted.
/// @param problems  those of reading the recipe, to which the others are added
RecipeCheck check_recipe(const Recipe& recipe, Problems problems, int threads);

/// For a terminal: the facts, the notes and all problems.
std::string check_text(const Recipe& recipe, const RecipeCheck& check);
nlohmann::ordered_json check_json(const Recipe& recipe, const RecipeCheck& check);

/// Floating-point operations per second of a matrix product like the model's, measured for a
/// fraction of a second.
double measure_flops(const engine::DecoderConfig& config, bool bfloat16, int threads);

TimeEstimate estimate_time(const Recipe& recipe, const RunSize& size,
                           const engine::DecoderConfig& config, double flops);

/// Of the step that needs most, against the memory of this machine (or of its control group).
Resource estimate_memory(const Recipe& recipe, const engine::DecoderConfig& config, bool bfloat16);

/// Of what is not in the run directory yet, against the free space of its file system.
Resource estimate_disk(const Recipe& recipe, const RunSize& size,
                       const engine::DecoderConfig& config);

}  // namespace charm::pipeline
