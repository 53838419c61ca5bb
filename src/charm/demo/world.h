#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "charm/base/fs.h"
#include "charm/base/progress.h"
#include "charm/demo/battles.h"
#include "charm/demo/language.h"

namespace charm::demo {

/// A policy of the world: the quality and the style of its answers.
struct WorldPolicy {
  Contestant contestant;
  Style style = Style::kPlain;
};

struct WorldOptions {
  fs::path folder;         ///< everything of the demo goes here
  std::uint64_t seed = 0;  ///< another seed gives another world
  std::int64_t num_prompts =
      1000;  ///< questions that the policies answer; a share of them is held out for evaluation
  std::int64_t num_annotations =
      4000;  ///< annotated pairs that the initial reward model is trained on
  std::int64_t num_style_pairs = 300;  ///< rows of the style-controlled benchmark
  std::int64_t num_probes =
      400;  ///< answers scored in plain and showy style, to measure the effect of style
  std::int64_t battles_per_pair = 2000;  ///< votes behind the ratings, for each pair of policies
  int threads = 0;                       ///< 0: all processors of this process
  bool fresh = false;                    ///< train the reward model again
};

/// Paths of the world's files.
struct World {
  fs::path folder;
  fs::path untrained;     ///< causal language model with random weights
  fs::path annotations;   ///< preference pairs of style-biased annotators
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

/// The four policies: the showman is about as good as the helper but writes in showy style.
const std::vector<WorldPolicy>& world_policies();

World world_layout(const fs::path& folder);

/// Writes questions, responses, annotations, ratings, benchmark, probes, the untrained model and
/// the recipe. Same options, same bytes.
World write_world(const WorldOptions& options);

/// `write_world`, then trains the style-biased reward model on the annotations with charm's own
/// trainer.
World make_world(const WorldOptions& options, const ProgressFn& progress);

}  // namespace charm::demo
