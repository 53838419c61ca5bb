// Invalid model folders: exit code 3, a one-line error that names file and tensor, no scores.

#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/demo/language.h"
#include "charm/demo/tiny_model.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

using nlohmann::json;

class BadModels : public SmallWorld {
 protected:
  std::string weights_file() const { return path("rm/model.safetensors"); }

  void expect_score_failure(const std::vector<std::string>& parts) {
    expect_failure({"score", "--model", path("rm"), "--responses", responses("helper"), "--output",
                    path("out")},
                   3, parts, path("out/helper.parquet"));
  }

  /// Rewrites the header of the weights file; tensor bytes are unchanged.
  void edit_header(const std::function<void(json&)>& edit) {
    const std::string file = read_file(weights_file());
    std::uint64_t size = 0;
    std::memcpy(&size, file.data(), sizeof size);
    json header = json::parse(file.substr(8, size));
    edit(header);
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    size = text.size();
    std::string changed(reinterpret_cast<const char*>(&size), sizeof size);
    std::uint64_t old_size = 0;
    std::memcpy(&old_size, file.data(), sizeof old_size);
    write_file(weights_file(), changed + text + file.substr(8 + old_size));
  }

  void edit_config(const std::function<void(json&)>& edit) {
    json config = json::parse(read_file(path("rm/config.json")));
    edit(config);
    write_file(path("rm/config.json"), config.dump(2));
  }
};

TEST_F(BadModels, TruncatedWeights) {
  const std::string file = read_file(weights_file());
  write_file(weights_file(), file.substr(0, file.size() - 100));
  expect_score_failure({"model.safetensors"});
}

TEST_F(BadModels, CorruptHeader) {
  std::string file = read_file(weights_file());
  file[8] = '!';
  write_file(weights_file(), file);
  expect_score_failure({"model.safetensors"});
}

TEST_F(BadModels, AbsurdHeaderLength) {
  std::string file = read_file(weights_file());
  file[6] = '\x7f';
  write_file(weights_file(), file);
  expect_score_failure({"model.safetensors"});
}

TEST_F(BadModels, AnAdapterBesideTheWeights) {
  const std::vector<std::string> score = {"score",       "--model",           path("rm"),
                                          "--responses", responses("helper"), "--output",
                                          path("out"),   "--dtype",           "float32"};
  ASSERT_EQ(run_charm(join({{"score", "--output", path("plain"), "--model", path("rm"),
                             "--responses", responses("helper"), "--dtype", "float32"}}))
                .code,
            0);
  write_file(path("rm/adapter_config.json"),
             R"({"peft_type": "LORA", "base_model_name_or_path": "org/base"})");
  write_file(path("rm/adapter_model.safetensors"), "never read");
  const std::vector<std::string> parts = {"rm: holds a PEFT adapter", "LORA, of org/base",
                                          "adapter_model.safetensors", "--adapter none"};
  const std::vector<std::string> train = {"train",
                                          "--model",
                                          path("rm"),
                                          "--preferences",
                                          path("world/annotations.jsonl"),
                                          "--output",
                                          path("trained"),
                                          "--pairs-per-step",
                                          "48",
                                          "--dtype",
                                          "float32"};
  const std::vector<std::string> evaluate = {"evaluate",
                                             "--benchmark",
                                             "rm-bench",
                                             "--model",
                                             path("rm"),
                                             "--data",
                                             path("world/style_pairs.json"),
                                             "--output",
                                             path("e.json"),
                                             "--dtype",
                                             "float32"};
  const std::vector<std::string> generate = {"generate",          "--model",  path("rm"),
                                             "--policy",          "p",        "--prompts",
                                             responses("helper"), "--output", path("p.jsonl")};
  expect_failure(score, 3, parts, path("out/helper.parquet"));
  expect_failure(train, 3, parts, path("trained"));
  expect_failure(evaluate, 3, parts, path("e.json"));
  expect_failure(generate, 3, parts, path("p.jsonl"));
  expect_failure({"inspect", path("rm")}, 3, parts);
  expect_failure({"inspect", path("rm"), "--config-only"}, 3, parts);

  const std::vector<std::string> alone = {"--adapter", "none"};
  const auto adapter_in = [](const std::string& manifest) {
    return json::parse(read_file(manifest))["options"].value("adapter", "not recorded");
  };
  for (const auto& arguments : {score, train, evaluate, {"inspect", path("rm")}}) {
    const Outcome outcome = run_charm(join({arguments, alone}));
    ASSERT_EQ(outcome.code, 0) << arguments.front() << ": " << outcome.err;
  }
  EXPECT_EQ(adapter_in(path(".charm/out/manifest.json")), "none");
  EXPECT_EQ(adapter_in(path("trained/manifest.json")), "none");
  EXPECT_EQ(adapter_in(path("e.json.manifest.json")), "none");
  EXPECT_EQ(storage::read_scored_responses(path("out/helper.parquet"), {}).front().score,
            storage::read_scored_responses(path("plain/helper.parquet"), {}).front().score);
  // The merged and trained model has no adapter any more.
  EXPECT_EQ(run_charm({"inspect", path("trained")}).code, 0);

  fs::remove(path("rm/model.safetensors"));
  expect_failure(join({score, alone, {"--fresh"}}), 3,
                 {"PEFT adapter (LORA, of org/base) and no weights", "nothing is left"});
}

TEST_F(BadModels, MissingHead) {
  demo::TinyModelOptions options;
  options.hidden_size = 32;
  options.intermediate_size = 64;
  demo::write_tiny_model(dir_ / "rm", demo::vocabulary(), options);  // a causal LM: no head
  edit_config([](json& config) {
    config["architectures"] = {"LlamaForSequenceClassification"};
    config["num_labels"] = 1;
  });
  expect_score_failure({"score.weight"});
}

TEST_F(BadModels, ACausalLanguageModelIsRejected) {
  expect_failure({"score", "--model", path("world/untrained_model"), "--responses",
                  responses("helper"), "--output", path("out")},
                 3, {"LlamaForCausalLM"}, path("out/helper.parquet"));
}

TEST_F(BadModels, WrongShape) {
  edit_config([](json& config) { config["intermediate_size"] = 48; });
  expect_score_failure({"mlp", "48", "64"});
}

TEST_F(BadModels, RenamedTensor) {
  edit_header([](json& header) {
    header["model.layers.0.self_attn.q_projection.weight"] =
        header["model.layers.0.self_attn.q_proj.weight"];
    header.erase("model.layers.0.self_attn.q_proj.weight");
  });
  expect_score_failure({"model.layers.0.self_attn.q_proj"});
}

TEST_F(BadModels, UnknownArchitecture) {
  edit_config([](json& config) {
    config["architectures"] = {"FalconForSequenceClassification"};
    config["model_type"] = "falcon";
  });
  expect_score_failure({"config.json", "Falcon", "Llama"});
}

TEST_F(BadModels, SeveralLabels) {
  edit_config([](json& config) {
    config.erase("num_labels");
    config["id2label"] = {{"0", "a"}, {"1", "b"}, {"2", "c"}};
  });
  expect_score_failure({"config.json", "id2label"});
  edit_config([](json& config) { config["num_labels"] = 3; });
  expect_score_failure({"config.json", "num_labels is 3"});
}

TEST_F(BadModels, WeightsWithNaN) {
  std::string file = read_file(weights_file());
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(file.data() + file.size() - sizeof nan, &nan, sizeof nan);
  write_file(weights_file(), file);
  expect_score_failure({"model.safetensors"});
}

TEST_F(BadModels, MissingTokenizerAndTemplate) {
  fs::rename(path("rm/tokenizer.json"), path("tokenizer.json"));
  expect_score_failure({"tokenizer.json"});
  fs::rename(path("tokenizer.json"), path("rm/tokenizer.json"));
  write_file(path("rm/tokenizer_config.json"), "{}");
  expect_score_failure({"template"});
}

TEST_F(BadModels, TrainingRejectsThemToo) {
  const std::string file = read_file(weights_file());
  write_file(weights_file(), file.substr(0, file.size() - 100));
  expect_failure({"train", "--model", path("rm"), "--preferences", path("world/annotations.jsonl"),
                  "--output", path("trained")},
                 3, {"model.safetensors"}, path("trained"));
  expect_failure({"train", "--model", path("world/untrained_model"), "--preferences",
                  path("world/annotations.jsonl"), "--output", path("trained")},
                 3, {"--new-head"}, path("trained"));
}

}  // namespace
}  // namespace charm::e2e
