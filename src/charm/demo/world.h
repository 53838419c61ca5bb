#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "charm/base/files.h"
#include "charm/base/progress.h"
#include "charm/demo/battles.h"
#include "charm/demo/language.h"

namespace charm::demo {

/// A policy of the world: how good its answers are, and how it dresses them up.
struct WorldPolicy {
  Contestant contestant;
  Style style = Style::kPlain;
};

struct WorldOptions {
  fs::path folder;         ///< everything of the demo goes here
  std::uint64_t seed = 0;  ///< another seed is another world
  std::int64_t num_prompts =
      1000;  ///< questions put to the policies; the holdout share of them is kept for measuring
  std::int64_t num_annotations = 4000;  ///< pairs that the reward model learns from at first
  std::int64_t num_style_pairs = 300;   ///< rows of the style-controlled benchmark
  std::int64_t num_probes =
      400;  ///< answers that are scored plain and showy, to see what style earns
  std::int64_t battles_per_pair = 2000;  ///< votes behind the ratings, for each pair of policies
  int threads = 0;                       ///< 0: all processors of this process
  bool fresh = false;                    ///< train the reward model again
};

/// Where things are.
struct World {
  fs::path folder;
  fs::path untrained;     ///< causal language model with random weights
  fs::path annotations;   ///< preference pairs of annotators who like style
  fs::path reward_model;  ///< trained on them
  fs::path probes;        ///< responses: each probe plain and showy
  fs::path recipe;        ///< of the pipeline; its run directory is <folder>/run
  fs::path run_dir;
};

/// Names that the recipe, the findings and the tests share.
inline constexpr const char* kRewardModelName = "demo-rm";
inline constexpr const char* kSetName = "showman";
inline constexpr const char* kOvervalued = "showman";
inline constexpr const char* kReference = "helper";
inline constexpr const char* kStyleBenchmark = "style-pairs";

/// The four policies: the showman is about as good as the helper but dresses its answers up.
const std::vector<WorldPolicy>& world_policies();

World world_layout(const fs::path& folder);

/// Writes questions, responses, annotations, ratings, benchmark, probes, the untrained model and
/// the recipe. Same options, same bytes.
World write_world(const WorldOptions& options);

/// `write_world`, then charm's own trainer on the annotations: the reward model whose taste is to
/// be corrected.
World make_world(const WorldOptions& options, const ProgressFn& progress);

}  // namespace charm::demo
