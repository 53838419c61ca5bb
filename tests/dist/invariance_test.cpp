// Row invariance end to end: `charm score` on the same rows in other orders, files, runs, token
// budgets, numbers of threads and of processes gives the same bits.

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <cstdlib>
#include <iostream>
#include <map>
#include <set>
#include <tuple>
#include <type_traits>

#include "charm/base/random.h"
#include "charm/demo/tiny_model.h"
#include "charm/engine/ops.h"
#include "charm/records/response.h"
#include "charm/records/score.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"
#include "tests/dist/ranks.h"
#include "tests/e2e/small_world.h"
#include "tests/support/source_dir.h"

namespace charm::e2e {
namespace {

constexpr std::size_t kNumRows = 500;
constexpr int kNumRandom = 4;

using Rows = std::vector<Response>;
using Bits = std::map<std::tuple<std::string, std::string, std::int32_t>,
                      std::uint32_t>;  // by policy, prompt_id, sample

/// A way to score the rows: the rows of each run's files, and its options.
struct Variant {
  std::string name;
  std::vector<std::vector<Rows>> runs;
  std::int64_t budget_tokens = 4096;
  int threads = 1;
  std::size_t processes = 1;
};

/// Rows grouped by `key`, in order of the keys.
template <typename KeyFn>
std::vector<Rows> split(const Rows& rows, const KeyFn& key) {
  std::map<std::remove_cvref_t<decltype(key(rows.front()))>, Rows> parts;
  for (const Response& row : rows) parts[key(row)].push_back(row);
  std::vector<Rows> list;
  for (auto& [unused, part] : parts) list.push_back(std::move(part));
  return list;
}

const std::string& policy_of(const Response& row) { return row.policy; }

/// Runs of letters and digits, and runs of other visible characters, as the tiny model's
/// pre-tokenizer splits them.
void collect_words(const std::string& text, std::set<std::string>& words) {
  const auto kind = [](char c) {
    return std::isspace(static_cast<unsigned char>(c))               ? 0
           : std::isalnum(static_cast<unsigned char>(c)) || c == '_' ? 1
                                                                     : 2;
  };
  for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end) {
    while (end < text.size() && kind(text[end]) == kind(text[begin])) ++end;
    const std::string word = text.substr(begin, end - begin);
    const bool ascii = std::all_of(word.begin(), word.end(),
                                   [](char c) { return static_cast<unsigned char>(c) < 128; });
    if (kind(word[0]) != 0 && ascii) words.insert(word);
  }
}

class Invariance : public SmallWorld, public testing::WithParamInterface<const char*> {
 protected:
  Invariance() { num_prompts_ = 125; }

  void SetUp() override {
    if (std::string(GetParam()) == "bfloat16" && !engine::has_native_bfloat16())
      GTEST_SKIP() << "this processor has no native bfloat16";
    // Spinning threads would compete for processors when tests run in parallel.
    setenv("OMP_WAIT_POLICY", "passive", 1);
    SmallWorld::SetUp();
    read_rows();
    ASSERT_EQ(rows_.size(), kNumRows);
    std::set<std::string> words;
    for (const Response& row : rows_) {
      for (const Message& message : row.prompt) collect_words(message.content, words);
      collect_words(row.response, words);
    }
    demo::TinyModelOptions model;
    model.intermediate_size = 176;
    model.max_positions = 512;
    model.reward_head = true;
    model.seed = 7;
    demo::write_tiny_model(path("scorer"), std::vector<std::string>(words.begin(), words.end()),
                           model);
  }

  /// Five policies' responses to the first hundred real prompts, or the small world's.
  void read_rows() {
    const fs::path real = fs::path(charm::test::kSourceDir) / "../shared/data/alpaca_eval";
    if (!fs::exists(real)) {
      std::cout << "generated rows: the real ones in " << real
                << " are absent and no part of the repository\n";
      for (const std::string& file : all_responses()) {
        for (Response& row : storage::read_responses(file, {})) rows_.push_back(std::move(row));
      }
      return;
    }
    for (const char* policy : {"claude-3-5-sonnet-20240620", "gemma-7b-it", "gpt4_0613",
                               "llama-2-13b-chat-hf", "vicuna-7b-v1.5"}) {
      Rows answers = storage::read_responses(real / (std::string(policy) + ".jsonl.gz"), {});
      answers.resize(kNumRows / 5);
      for (Response& row : answers) rows_.push_back(std::move(row));
    }
  }

  Rows shuffled(RandomStream& random) const {
    Rows rows = rows_;
    random.shuffle(rows);
    return rows;
  }

  /// Every row's score in bits; rows without one are failures.
  Bits score(const Variant& variant) {
    Bits bits;
    for (std::size_t run = 0; run < variant.runs.size(); ++run) {
      const std::string name = path(variant.name + "-" + std::to_string(run));
      std::vector<std::string> command = {"score",           "--quiet",
                                          "--model",         path("scorer"),
                                          "--dtype",         GetParam(),
                                          "--max-tokens",    "200",
                                          "--budget-tokens", std::to_string(variant.budget_tokens),
                                          "--threads",       std::to_string(variant.threads),
                                          "--output",        name + ".scores",
                                          "--responses"};
      for (std::size_t file = 0; file < variant.runs[run].size(); ++file) {
        command.push_back(name + "-" + std::to_string(file) + ".jsonl");
        storage::write_responses(command.back(), variant.runs[run][file]);
      }
      const std::vector<Outcome> outcomes =
          variant.processes == 1 ? std::vector{run_charm(command)}
                                 : run_ranks(std::vector(variant.processes, command));
      for (const Outcome& outcome : outcomes)
        EXPECT_EQ(outcome.code, 0) << variant.name << ": " << outcome.err;
      for (const auto& [file, unused] : files_below(name + ".scores")) {
        if (!file.ends_with(".parquet")) continue;
        for (const Score& row : storage::read_scores(fs::path(name + ".scores") / file, {})) {
          EXPECT_FALSE(row.error) << *row.error;
          bits[{row.policy, row.prompt_id, row.sample}] = std::bit_cast<std::uint32_t>(row.score);
        }
      }
    }
    return bits;
  }

  /// Every row scored under `variant` as in `expected`, bit for bit.
  void expect_same(const Bits& expected, const Variant& variant) {
    const Bits found = score(variant);
    ASSERT_EQ(found.size(), expected.size()) << variant.name;
    std::size_t num_other = 0;
    for (const auto& [key, value] : expected) {
      const auto other = found.find(key);
      ASSERT_NE(other, found.end())
          << variant.name << ": " << std::get<0>(key) << " " << std::get<1>(key);
      if (other->second == value || ++num_other > 3) continue;
      ADD_FAILURE() << variant.name << ": " << std::get<0>(key) << " " << std::get<1>(key)
                    << ": found " << std::bit_cast<float>(other->second) << ", expected "
                    << std::bit_cast<float>(value);
    }
    EXPECT_EQ(num_other, 0u) << variant.name << ": rows with other bits, of " << expected.size();
    ++num_variants_;
  }

  Rows rows_;
  int num_variants_ = 0;
};

TEST_P(Invariance, ScoresDependOnTheConversationAlone) {
  const Bits expected = score({.name = "reference", .runs = {split(rows_, policy_of)}});
  ASSERT_EQ(expected.size(), kNumRows);
  std::set<std::uint32_t> different;
  for (const auto& [unused, value] : expected) different.insert(value);
  EXPECT_GT(different.size(), kNumRows * 9 / 10) << "scores that are all alike would show nothing";

  RandomStream random(1, "invariance_test");
  expect_same(expected, {.name = "threads", .runs = {split(rows_, policy_of)}, .threads = 2});
  expect_same(expected, {.name = "order", .runs = {{shuffled(random)}}});
  // The reference scores a prompt's responses in one group. Here each is scored in a separate run
  // ...
  Variant apart{.name = "policies-apart", .runs = {}};
  for (Rows& rows : split(rows_, policy_of)) apart.runs.push_back({std::move(rows)});
  expect_same(expected, apart);
  // ... and here prompt groups are kept but batched with others.
  Variant prompts{.name = "prompts-apart", .runs = {}, .budget_tokens = 1000};
  std::map<std::string, std::uint64_t> part;
  for (const Response& row : rows_) part.try_emplace(row.prompt_id, random.below(4));
  for (Rows& rows :
       split(shuffled(random), [&](const Response& row) { return part.at(row.prompt_id); }))
    prompts.runs.push_back({std::move(rows)});
  expect_same(expected, prompts);
  expect_same(expected, {.name = "one-by-one", .runs = {{shuffled(random)}}, .budget_tokens = 1});
  expect_same(expected,
              {.name = "two-processes", .runs = {split(rows_, policy_of)}, .processes = 2});
  expect_same(expected,
              {.name = "three-processes", .runs = {split(rows_, policy_of)}, .processes = 3});
  // Everything combined. A policy's rows are in one file, which may hold several policies.
  for (int i = 0; i < kNumRandom; ++i) {
    std::map<std::string, std::uint64_t> file;
    for (const Response& row : rows_) file.try_emplace(row.policy, random.below(3));
    Variant variant{
        .name = "random" + std::to_string(i),
        .runs = {split(shuffled(random), [&](const Response& row) { return file.at(row.policy); })},
        .budget_tokens = 50 + static_cast<std::int64_t>(random.below(i % 2 == 0 ? 1000 : 20000)),
        .threads = 1 + static_cast<int>(random.below(2)),
        .processes = 1 + static_cast<std::size_t>(i % 3)};
    random.shuffle(variant.runs[0]);
    expect_same(expected, variant);
  }
  std::cout << kNumRows << " rows, " << num_variants_ << " variants, " << different.size()
            << " different scores\n";
}

INSTANTIATE_TEST_SUITE_P(DTypes, Invariance, testing::Values("float32", "bfloat16"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace charm::e2e
