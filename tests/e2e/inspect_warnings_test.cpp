// What `charm inspect` says about folders that other libraries read differently: each case changes
// one thing of a model that gives no such warning.

#include <gmock/gmock.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class InspectWarnings : public SmallWorld {
 protected:
  InspectWarnings() { num_prompts_ = 4; }

  void edit(const std::string& file, const std::function<void(json&)>& change) const {
    json content = json::parse(read_file(path("rm/" + file)));
    change(content);
    write_file(path("rm/" + file), content.dump(2));
  }

  /// The warnings of `charm inspect`, a line each.
  std::string warnings() const {
    const Outcome outcome = run_charm({"inspect", path("rm"), "--json"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    std::string lines;
    for (const json& line : json::parse(outcome.out)["warnings"])
      lines += line.get<std::string>() + "\n";
    return lines;
  }
};

TEST_F(InspectWarnings, AddBosTokenThatHasNoEffect) {
  EXPECT_THAT(warnings(), Not(HasSubstr("add_bos_token")));
  edit("tokenizer_config.json", [](json& config) { config["add_bos_token"] = false; });
  EXPECT_THAT(warnings(), HasSubstr("tokenizer_config.json says add_bos_token false, which has no "
                                    "effect beside a tokenizer.json, as in transformers 5"));
  // The sample begins with it.
  edit("tokenizer_config.json", [](json& config) { config["add_bos_token"] = true; });
  EXPECT_THAT(warnings(), Not(HasSubstr("add_bos_token")));
}

TEST_F(InspectWarnings, AByteLevelTokenizerUnderTheClassOfLlama) {
  edit("tokenizer.json", [](json& tokenizer) {
    tokenizer["pre_tokenizer"] = {{"type", "ByteLevel"},
                                  {"add_prefix_space", false},
                                  {"trim_offsets", true},
                                  {"use_regex", true}};
  });
  EXPECT_THAT(warnings(), Not(HasSubstr("byte-level")));
  for (const char* name : {"LlamaTokenizer", "LlamaTokenizerFast"}) {
    edit("tokenizer_config.json", [&](json& config) { config["tokenizer_class"] = name; });
    EXPECT_THAT(warnings(), HasSubstr("drops every space (mended in 5.23); charm uses "
                                      "tokenizer.json as written"))
        << name;
  }
  edit("tokenizer_config.json",
       [](json& config) { config["tokenizer_class"] = "PreTrainedTokenizerFast"; });
  EXPECT_THAT(warnings(), Not(HasSubstr("byte-level")));
}

TEST_F(InspectWarnings, ANormalizerUnderTheClassOfLlama) {
  edit("tokenizer.json", [](json& tokenizer) {
    tokenizer["normalizer"] = {{"type", "Sequence"},
                               {"normalizers", {{{"type", "Prepend"}, {"prepend", "_"}}}}};
  });
  edit("tokenizer_config.json", [](json& config) { config["tokenizer_class"] = "LlamaTokenizer"; });
  EXPECT_THAT(warnings(), HasSubstr("ignores the normalizer of tokenizer.json"));
}

TEST_F(InspectWarnings, PaddingThatEndsASequence) {
  EXPECT_THAT(warnings(), Not(HasSubstr("is also an end-of-sequence token")));
  edit("config.json", [](json& config) { config["eos_token_id"] = config["pad_token_id"]; });
  EXPECT_THAT(warnings(), HasSubstr("is also an end-of-sequence token"));
  edit("config.json", [](json& config) { config.erase("pad_token_id"); });
  EXPECT_THAT(warnings(), HasSubstr("config.json names no pad_token_id"));
}

}  // namespace
}  // namespace charm::e2e
