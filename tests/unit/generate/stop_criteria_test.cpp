#include "charm/generate/stop_criteria.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "charm/base/error.h"
#include "tests/support/source_dir.h"

namespace charm::generate {
namespace {

namespace fs = std::filesystem;

// Byte-level tokens: <|endoftext|> 0, <|im_start|> 1, <|im_end|> 2, then the bytes.
const fs::path kModel = fs::path(charm::test::kSourceDir) / "tests/data/golden/models/chat";

std::vector<std::int32_t> ids_of(const text::Tokenizer& tokenizer, std::string_view text) {
  return tokenizer.encode(text, text::AddSpecialTokens::kNo);
}

/// Number of tokens up to the end of a stop string; -1: never.
std::int64_t tokens_until_stop(const text::Tokenizer& tokenizer,
                               const std::vector<std::int32_t>& ids,
                               const std::vector<std::string>& stops) {
  StopStringCriteria criteria(tokenizer, stops);
  for (std::size_t n = 1; n <= ids.size(); ++n) {
    if (criteria.is_met(std::span(ids).first(n))) return static_cast<std::int64_t>(n);
  }
  return -1;
}

TEST(StopStringCriteria, FindsStopStringsAcrossTokens) {
  const text::Tokenizer tokenizer = text::Tokenizer::load(kModel);
  const auto ids = ids_of(tokenizer, "one\n\nHuman: two");
  const std::vector<std::string> stops = {"\n\nHuman:", "xyz"};
  const std::int64_t n = tokens_until_stop(tokenizer, ids, stops);
  ASSERT_GT(n, 0);
  EXPECT_EQ(tokenizer.decode(std::span(ids).first(static_cast<std::size_t>(n)), true),
            "one\n\nHuman:");
  EXPECT_EQ(
      response_text(tokenizer, std::span(ids).first(static_cast<std::size_t>(n)), stops, false),
      "one");
  EXPECT_EQ(tokens_until_stop(tokenizer, ids, {"never"}), -1);
  EXPECT_EQ(tokens_until_stop(tokenizer, ids, {}), -1);
}

TEST(StopStringCriteria, FindsStopStringsAfterPartialCharacters) {
  const text::Tokenizer tokenizer = text::Tokenizer::load(kModel);
  const auto ids = ids_of(tokenizer, "🌫é STOP");  // several tokens a character
  ASSERT_GT(ids.size(), 9u);
  EXPECT_EQ(tokens_until_stop(tokenizer, ids, {"STOP"}), static_cast<std::int64_t>(ids.size()));
  EXPECT_EQ(tokens_until_stop(tokenizer, ids, {"🌫é"}), 6);
}

TEST(StopStringCriteria, FindsTheEarliest) {
  const std::vector<std::string> stops = {"b", "ab"};
  EXPECT_EQ(find_stop("xxab", stops), 2u);
  EXPECT_EQ(find_stop("xx", stops), std::string::npos);
}

TEST(ResponseText, LeavesOutTokensThatTheTokenizerDoesNotHave) {
  const text::Tokenizer tokenizer = text::Tokenizer::load(kModel);
  const auto padding = static_cast<std::int32_t>(tokenizer.vocab_size());
  std::vector<std::int32_t> ids = {padding};
  for (const std::int32_t id : ids_of(tokenizer, "one STOP two")) {
    ids.push_back(id);
    ids.push_back(padding + 7);
  }
  EXPECT_EQ(response_text(tokenizer, ids, {}, false), "one STOP two");
  EXPECT_EQ(tokens_until_stop(tokenizer, ids, {"STOP"}),
            1 + 2 * std::ssize(ids_of(tokenizer, "one STOP")) - 1);
  EXPECT_EQ(tokens_with_text(tokenizer, ids), ids_of(tokenizer, "one STOP two"));
}

TEST(ResponseText, HasNoSpecialTokensAndNoPartialCharacters) {
  const text::Tokenizer tokenizer = text::Tokenizer::load(kModel);
  std::vector<std::int32_t> ids = ids_of(tokenizer, "a🌫");
  const std::vector<std::int32_t> whole = ids;
  ids.pop_back();  // the last byte
  EXPECT_EQ(response_text(tokenizer, ids, {}, /*is_truncated=*/true), "a");
  EXPECT_EQ(response_text(tokenizer, ids, {}, /*is_truncated=*/false),
            "a\xEF\xBF\xBD");  // what transformers' decode gives
  std::vector<std::int32_t> marked = {1};
  marked.insert(marked.end(), whole.begin(), whole.end());
  marked.push_back(0);
  EXPECT_EQ(response_text(tokenizer, marked, {}, true), "a🌫");
  EXPECT_EQ(response_text(tokenizer, {}, {}, true), "");
}

class StopTokens : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
      fs::copy_file(kModel / name, folder_ / name, fs::copy_options::overwrite_existing);
    }
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::set<std::int32_t> found(const std::string& generation_config,
                               const std::vector<std::int32_t>& config_eos) {
    if (!generation_config.empty())
      std::ofstream(folder_ / "generation_config.json") << generation_config;
    const text::Tokenizer tokenizer = text::Tokenizer::load(folder_);
    return find_stop_tokens(folder_, config_eos, tokenizer,
                            text::ChatTemplate::load(folder_, {}, "2024-07-26"));
  }

  const fs::path folder_ =
      fs::path(testing::TempDir()) / ("stop_tokens_" + std::to_string(getpid()));
};

TEST_F(StopTokens, ComeFromAllConfigsAndTheTemplate) {
  // The tokenizer's eos_token and the template's end of turn are both <|im_end|>, 2.
  EXPECT_EQ(found("", {}), (std::set<std::int32_t>{2}));
  EXPECT_EQ(found("", {17}), (std::set<std::int32_t>{2, 17}));
  EXPECT_EQ(found(R"({"eos_token_id": 5})", {17}), (std::set<std::int32_t>{2, 5, 17}));
  EXPECT_EQ(found(R"({"eos_token_id": [5, 6]})", {}), (std::set<std::int32_t>{2, 5, 6}));
  EXPECT_EQ(found(R"({"eos_token_id": null})", {}), (std::set<std::int32_t>{2}));
}

TEST_F(StopTokens, InvalidIdsAreRejected) {
  try {
    found(R"({"eos_token_id": ["</s>"]})", {});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(
        error.what(),
        testing::EndsWith(
            R"(generation_config.json: eos_token_id holds "</s>", expected a token id or a list of them)"));
  }
}

}  // namespace
}  // namespace charm::generate
