// Invalid model folders: exit code 3, a one-line error that names file and tensor, no scores.

#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "charm/demo/language.h"
#include "charm/demo/tiny_model.h"
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
  edit_config([](json& config) { config["id2label"] = {{"0", "a"}, {"1", "b"}, {"2", "c"}}; });
  expect_score_failure({"config.json", "id2label"});
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
