#include "tests/e2e/small_world.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>

#include "charm/demo/tiny_model.h"

namespace charm::e2e {

void SmallWorld::SetUp() {
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  dir_ = fs::path(testing::TempDir()) / "charm-e2e" /
         fmt::format("{}.{}.{}", info->test_suite_name(), info->name(), getpid());
  demo::WorldOptions options;
  options.folder = dir_;
  options.seed = 11;
  options.num_prompts = num_prompts_;
  options.num_annotations = num_annotations_;
  options.num_style_pairs = 20;
  options.num_probes = 4;
  options.battles_per_pair = 200;
  world_ = demo::write_world(options);
  demo::TinyModelOptions model;
  model.hidden_size = 32;
  model.intermediate_size = 64;
  model.reward_head = true;
  model.seed = 3;
  demo::write_tiny_model(dir_ / "rm", demo::vocabulary(), model);
}

void SmallWorld::TearDown() {
  if (HasFailure()) return;  // keep the files for debugging
  std::error_code ignored;
  fs::remove_all(dir_, ignored);
}

std::vector<std::string> SmallWorld::all_responses() const {
  std::vector<std::string> files;
  for (const demo::WorldPolicy& policy : demo::world_policies())
    files.push_back(responses(policy.contestant.name));
  return files;
}

std::vector<std::string> SmallWorld::all_scores() const {
  std::vector<std::string> files;
  for (const demo::WorldPolicy& policy : demo::world_policies())
    files.push_back(path("scores/" + policy.contestant.name + ".parquet"));
  return files;
}

void SmallWorld::score_all() {
  const Outcome outcome = run_charm(join({{"score", "--model", path("rm"), "--output",
                                           path("scores"), "--dtype", "float32", "--responses"},
                                          all_responses()}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
}

void SmallWorld::expect_failure(const std::vector<std::string>& arguments, int code,
                                const std::vector<std::string>& parts, const std::string& output) {
  const Outcome outcome = run_charm(arguments);
  EXPECT_EQ(outcome.code, code) << outcome.err;
  // Warnings may precede the error, which is the last line.
  const std::size_t begin = outcome.err.rfind("charm " + arguments.front() + ": error: ");
  ASSERT_NE(begin, std::string::npos) << outcome.err;
  const std::string line = outcome.err.substr(begin);
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
  for (const std::string& part : parts) EXPECT_THAT(line, testing::HasSubstr(part));
  EXPECT_FALSE(!output.empty() && fs::exists(output)) << output << " exists";
}

std::vector<std::string> join(std::initializer_list<std::vector<std::string>> lists) {
  std::vector<std::string> all;
  for (const auto& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

}  // namespace charm::e2e
