#pragma once

#include <string>
#include <string_view>

#include "charm/base/fs.h"

namespace charm::pipeline {

/// Paths of the stages' outputs in the run directory.
struct RunPaths {
  fs::path root;

  fs::path prompts() const { return root / "prompts.parquet"; }
  fs::path responses(std::string_view policy) const {
    return root / "responses" / named(policy, ".parquet");
  }
  /// One file per policy, see score::score_file.
  fs::path scores_dir(std::string_view rm) const { return root / "scores" / rm; }
  /// `part` is "fit" or "held-out".
  fs::path split(std::string_view part, std::string_view rm, std::string_view policy) const {
    return root / "splits" / part / rm / named(policy, ".parquet");
  }
  fs::path split_facts(std::string_view rm) const { return root / "splits" / named(rm, ".json"); }
  fs::path mismatch(std::string_view rm) const { return root / "mismatch" / named(rm, ".json"); }
  /// Scored votes, and the mismatch with people's choices.
  fs::path votes(std::string_view rm) const { return root / "votes" / named(rm, ".parquet"); }
  fs::path vote_mismatch(std::string_view rm) const {
    return root / "mismatch" / named(rm, ".votes.json");
  }
  fs::path calibration(std::string_view rm, std::string_view set) const {
    return root / "calibration" / rm / named(set, ".json");
  }
  fs::path explanation(std::string_view rm, std::string_view set) const {
    return root / "explanation" / rm / named(set, ".json");
  }
  fs::path preferences(std::string_view rm, std::string_view set) const {
    return root / "preferences" / rm / named(set, ".parquet");
  }
  fs::path model(std::string_view rm, std::string_view set) const {
    return root / "models" / rm / set;
  }
  fs::path evaluation(std::string_view model, std::string_view benchmark) const {
    return root / "eval" / model / named(benchmark, ".json");
  }
  fs::path comparison(std::string_view model, std::string_view benchmark) const {
    return root / "comparison" / model / named(benchmark, ".json");
  }
  fs::path report() const { return root / "report.html"; }
  fs::path world() const { return root / "world.json"; }
  fs::path step_record(std::string_view step) const {
    return root / "steps" / named(step, ".json");
  }

 private:
  static std::string named(std::string_view name, std::string_view extension) {
    return std::string(name) + std::string(extension);
  }
};

/// Name of the reward model fine-tuned from `rm` on the preferences of `set`.
inline std::string retrained_name(std::string_view rm, std::string_view set) {
  return std::string(rm) + "-" + std::string(set);
}

}  // namespace charm::pipeline
