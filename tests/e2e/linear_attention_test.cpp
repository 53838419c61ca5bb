// A model with linear attention layers (Qwen3.5): inspected and scored; training, generation and a
// GPU are refused by name with the next step.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/safetensors.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class LinearAttention : public SmallWorld {
 protected:
  LinearAttention() { num_prompts_ = 8; }

  void SetUp() override {
    SmallWorld::SetUp();
    write_hybrid("hybrid", "Qwen3_5TextForSequenceClassification");
  }

  /// `rm` with every other layer a gated delta net.
  void write_hybrid(const std::string& name, const std::string& architecture) const {
    fs::copy(dir_ / "rm", dir_ / name, fs::copy_options::recursive);
    json config = json::parse(read_file(path("rm/config.json")));
    config["architectures"] = {architecture};
    config["model_type"] = "qwen3_5_text";
    config["full_attention_interval"] = 2;
    config["head_dim"] = 16;
    config["linear_num_key_heads"] = 2;
    config["linear_num_value_heads"] = 4;
    config["linear_key_head_dim"] = config["linear_value_head_dim"] = 8;
    config["initializer_range"] = 0.2;
    write_file(dir_ / name / "config.json", config.dump(2));
    const engine::DecoderConfig parsed = engine::load_model_config(dir_ / name);
    engine::DecoderWeights weights = engine::random_weights(parsed, 5);
    std::vector<std::pair<std::string, engine::Tensor>> tensors;
    for (const auto& [tensor_name, tensor] : engine::named_weights(weights, parsed))
      tensors.emplace_back(tensor_name, *tensor);
    tensors.emplace_back("lm_head.weight", weights.embed_VD);
    engine::write_safetensors(dir_ / name / "model.safetensors", tensors, {{"format", "pt"}});
  }
};

TEST_F(LinearAttention, IsInspectedAndScored) {
  const Outcome inspected = run_charm({"inspect", path("hybrid")});
  ASSERT_EQ(inspected.code, 0) << inspected.err;
  EXPECT_THAT(inspected.out,
              AllOf(HasSubstr("Qwen3_5TextForSequenceClassification"),
                    HasSubstr("gated delta net in 1 of 2 layers: 2 key heads of 8, 4 value heads "
                              "of 8, convolution over 4 tokens\n"),
                    HasSubstr("for scoring, on the CPU; not trained, no generation")));
  const auto scores = [&](const std::string& output, const std::vector<std::string>& more) {
    const Outcome outcome =
        run_charm(join({{"score", "--model", path("hybrid"), "--responses", responses("helper"),
                         "--output", path(output), "--dtype", "float32"},
                        more}));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    std::vector<float> values;
    for (const auto& row : storage::read_scored_responses(path(output + "/helper.parquet"), {}))
      values.push_back(row.score);
    return values;
  };
  const std::vector<float> expected = scores("whole", {"--threads", "1"});
  EXPECT_EQ(expected.size(), 8u);
  EXPECT_EQ(scores("split", {"--threads", "2", "--budget-tokens", "50"}), expected);
}

TEST_F(LinearAttention, WhatIsNotComputedIsRefusedWithTheNextStep) {
  write_file(path("pairs.jsonl"),
             R"({"prompt": "Hello", "chosen": "Hi.", "rejected": "No.", "prompt_id": "a"})"
             "\n");
  expect_failure({"train", "--model", path("hybrid"), "--preferences", path("pairs.jsonl"),
                  "--output", path("trained")},
                 3, {"training is not supported", "linear attention", "elsewhere"},
                 path("trained"));
  expect_failure({"score", "--model", path("hybrid"), "--responses", responses("helper"),
                  "--output", path("out"), "--device", "cuda"},
                 3, {"--device cuda is not supported", "use --device cpu"},
                 path("out/helper.parquet"));
  write_hybrid("lm", "Qwen3_5ForCausalLM");
  write_file(path("prompts.jsonl"), "{\"prompt\": \"Hello\"}\n");
  expect_failure({"generate", "--model", path("lm"), "--prompts", path("prompts.jsonl"), "--policy",
                  "lm", "--output", path("lm.parquet")},
                 3, {"generation is not supported", "--server"}, path("lm.parquet"));
}

}  // namespace
}  // namespace charm::e2e
