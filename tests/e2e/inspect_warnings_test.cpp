// What `charm inspect` says about folders that other libraries read differently: each case changes
// one thing of a model that gives no such warning.

#include <gmock/gmock.h>

#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "charm/base/files.h"
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
    const json facts = json::parse(outcome.out);
    std::string lines;
    for (const json& line : facts["warnings"]) lines += line.get<std::string>() + "\n";
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

TEST_F(InspectWarnings, AProblemOfClasses) {
  edit("config.json", [](json& config) { config["problem_type"] = "regression"; });
  EXPECT_THAT(warnings(), Not(HasSubstr("problem_type")));
  edit("config.json", [](json& config) { config["problem_type"] = "single_label_classification"; });
  EXPECT_THAT(warnings(),
              HasSubstr("config.json says problem_type single_label_classification, with which "
                        "transformers refuses to score one label"));
}

/// A file of safetensors: its header, and what follows it.
struct TensorFile {
  json header;
  std::string data;
};

TensorFile read_tensors(const std::string& path) {
  const std::string file = read_file(path);
  std::uint64_t size = 0;
  std::memcpy(&size, file.data(), sizeof size);
  return {.header = json::parse(file.substr(8, size)), .data = file.substr(8 + size)};
}

void write_tensors(const std::string& path, const TensorFile& tensors) {
  std::string header = tensors.header.dump();
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::uint64_t size = header.size();
  std::string file(sizeof size, '\0');
  std::memcpy(file.data(), &size, sizeof size);
  write_file(path, file + header + tensors.data);
}

TEST_F(InspectWarnings, AnAdapterWhoseHeadIsInNoFile) {
  // The base without its head, which is the last tensor of the file.
  TensorFile base = read_tensors(path("rm/model.safetensors"));
  const auto [begin, end] =
      base.header.at("score.weight").at("data_offsets").get<std::pair<std::size_t, std::size_t>>();
  ASSERT_EQ(end, base.data.size());
  base.data.resize(begin);
  base.header.erase("score.weight");
  write_tensors(path("rm/model.safetensors"), base);
  // LoRA factors of rank 1, all zeros.
  const json shape = base.header.at("model.layers.0.mlp.up_proj.weight").at("shape");
  const std::size_t rows = shape[0], columns = shape[1];
  const std::string module = "base_model.model.model.layers.0.mlp.up_proj.lora_";
  write_tensors(
      path("adapter/adapter_model.safetensors"),
      {.header = {{module + "A.weight",
                   {{"dtype", "F32"}, {"shape", {1, columns}}, {"data_offsets", {0, 4 * columns}}}},
                  {module + "B.weight",
                   {{"dtype", "F32"},
                    {"shape", {rows, 1}},
                    {"data_offsets", {4 * columns, 4 * (columns + rows)}}}}},
       .data = std::string(4 * (columns + rows), '\0')});
  write_file(
      path("adapter/adapter_config.json"),
      R"({"peft_type": "LORA", "base_model_name_or_path": "../rm", "r": 1, "lora_alpha": 1})");
  const auto score = [&](const std::string& model) {
    return std::vector<std::string>{"score",       "--model",           path(model),
                                    "--responses", responses("helper"), "--output",
                                    path("out")};
  };
  expect_failure(score("adapter"), 3,
                 {"'score.weight' [1, ", "was the head saved with the adapter (modules_to_save)?",
                  "A LoRA run of OpenRLHF leaves it in no file"});
  expect_failure(score("rm"), 3, {"'score.weight' [1, ", "is missing", "a random one is never"});
}

}  // namespace
}  // namespace charm::e2e
