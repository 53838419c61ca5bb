#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "charm/demo/world.h"
#include "tests/e2e/program.h"

namespace charm::e2e {

/// Fixture with a small synthetic dataset: responses of four policies, ratings, annotations, a
/// benchmark, and `rm`, a tiny reward model with random weights.
class SmallWorld : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  std::string path(const std::string& name) const { return (dir_ / name).string(); }
  std::string responses(const std::string& policy) const {
    return path("world/responses/" + policy + ".jsonl");
  }
  std::vector<std::string> all_responses() const;

  /// Scores all policies with `rm` into `scores` and expects success.
  void score_all();
  std::vector<std::string> all_scores() const;

  /// Expects the exit code, exactly one line on stderr that begins "charm <command>: error: " and
  /// contains all `parts`, and that `output` does not exist.
  void expect_failure(const std::vector<std::string>& arguments, int code,
                      const std::vector<std::string>& parts, const std::string& output = "");

  fs::path dir_;
  std::int64_t num_prompts_ = 60;
  std::int64_t num_annotations_ = 96;
  demo::World world_;
};

/// Concatenates lists of arguments.
std::vector<std::string> join(std::initializer_list<std::vector<std::string>> lists);

}  // namespace charm::e2e
