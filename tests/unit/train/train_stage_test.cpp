#include "charm/train/train_stage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_config.h"
#include "charm/engine/safetensors.h"
#include "charm/engine/trainable_model.h"
#include "tests/support/expect_error.h"
#include "tests/support/source_dir.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::train {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class TrainStage : public ::testing::Test {
 protected:
  void SetUp() override {
    const fs::path data = fs::path(charm::test::kSourceDir) / "tests/data/golden/train";
    options_.model = data / "model";
    options_.preferences = data / "preferences.jsonl";
    options_.output = folder_ / "output";
    options_.learning_rate = 1e-3;
    options_.pairs_per_step = 2;
    options_.epochs = 3;
    options_.eval_fraction = 0.3;
    options_.dtype = ComputeDType::kFloat32;
    options_.device = "cpu";
    options_.threads = 1;
  }

  std::string failure(const TrainOptions& options, ErrorKind kind) {
    try {
      train(options, {});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      EXPECT_FALSE(fs::exists(options.output)) << "a failed run left an output";
      return error.what();
    }
    ADD_FAILURE() << "expected an error";
    return "";
  }
  /// A copy of the model's folder that may be changed.
  fs::path copied_model() {
    fs::copy(options_.model, folder_ / "model");
    return folder_ / "model";
  }
  /// Whether any tensor of two model folders differs.
  static bool weights_differ(const fs::path& a, const fs::path& b) {
    const engine::SafetensorsFile first(a / "model.safetensors"), second(b / "model.safetensors");
    EXPECT_EQ(first.tensors().size(), second.tensors().size());
    for (const auto& [name, info] : first.tensors()) {
      const engine::Tensor x = first.view(name), y = second.view(name).to(x.dtype());
      if (x.shape() != y.shape() || std::memcmp(x.bytes(), y.bytes(), x.nbytes()) != 0) return true;
    }
    return false;
  }
  /// Keeps every weight away from 0 and rounds it to what bfloat16 knows, in float32.
  static void round_weights(const fs::path& file) {
    engine::NamedTensors tensors;
    {
      const engine::SafetensorsFile stored(file);
      for (const auto& [name, info] : stored.tensors()) {
        engine::Tensor tensor = stored.view(name).clone();
        auto* values = tensor.mutable_data<float>();
        for (std::int64_t i = 0; i < tensor.numel(); ++i)
          values[i] = std::copysign(std::max(std::abs(values[i]), 0.01f), values[i]);
        tensors.emplace_back(name, tensor.to(engine::DType::kBFloat16).to(engine::DType::kFloat32));
      }
    }
    engine::write_safetensors(file, tensors);
  }
  nlohmann::json read_json(const fs::path& path) { return nlohmann::json::parse(read_file(path)); }

  const testing::TempFolder folder_;
  TrainOptions options_;
};

TEST_F(TrainStage, WritesAModelFolderWithMetricsAndManifest) {
  std::int64_t reports = 0;
  const TrainResult result = train(options_, [&](const Progress&) { ++reports; });
  EXPECT_EQ(result.num_steps, 6);
  EXPECT_EQ(result.num_train_pairs, 4);
  EXPECT_GT(reports, 0);
  ASSERT_TRUE(result.eval_before && result.eval_after);
  EXPECT_EQ(result.eval_after->num_pairs, 2);
  EXPECT_FALSE(fs::exists(partial_path(options_.output)));
  EXPECT_TRUE(fs::exists(options_.output / "tokenizer.json"));
  const engine::DecoderConfig config = engine::load_model_config(options_.output);
  EXPECT_EQ(config.stored_dtype, "float32");
  engine::load_weights(options_.output, config, {.dtype = engine::DType::kFloat32});
  const auto manifest = read_json(options_.output / "manifest.json");
  EXPECT_EQ(manifest["num_steps"], 6);
  EXPECT_EQ(manifest["eval_after"]["num_pairs"], 2);
  EXPECT_EQ(manifest["outputs"][0]["path"], (options_.output / "model.safetensors").string());
}

TEST_F(TrainStage, AFinishedOutputIsNotTrainedAgain) {
  const TrainResult first = train(options_, {});
  const auto time = fs::last_write_time(options_.output / "model.safetensors");
  const TrainResult again = train(options_, {});
  EXPECT_EQ(fs::last_write_time(options_.output / "model.safetensors"), time);
  EXPECT_EQ(again.num_steps, first.num_steps);
  EXPECT_DOUBLE_EQ(again.eval_after->loss, first.eval_after->loss);
  // As a manifest from before an option: it was left at its default.
  auto manifest = read_json(options_.output / "manifest.json");
  EXPECT_EQ(manifest["options"].erase("freeze-embeddings"), 1u);
  write_file(options_.output / "manifest.json", manifest.dump());
  train(options_, {});
  EXPECT_EQ(fs::last_write_time(options_.output / "model.safetensors"), time);
  options_.train_embeddings = false;
  EXPECT_ERROR(kUsage, "--fresh replaces it", train(options_, {}));
}

TEST_F(TrainStage, AnotherRunsOutputIsReplacedOnlyWhenAsked) {
  train(options_, {});
  const std::string weights = read_file(options_.output / "model.safetensors");
  options_.learning_rate = 2e-3;
  EXPECT_ERROR(kUsage, "--fresh replaces it", train(options_, {}));
  EXPECT_EQ(read_file(options_.output / "model.safetensors"), weights);
  options_.fresh = true;
  train(options_, {});
  EXPECT_NE(read_file(options_.output / "model.safetensors"), weights);
}

TEST_F(TrainStage, FilesOfOthersAreNeverReplaced) {
  options_.output = folder_ / "mine";
  write_file(options_.output / "notes.txt", "precious");
  for (const bool fresh : {false, true}) {
    options_.fresh = fresh;
    EXPECT_ERROR(kUsage, "charm train did not write", train(options_, {}));
  }
  EXPECT_EQ(read_file(options_.output / "notes.txt"), "precious");

  options_.model = options_.output = copied_model();
  EXPECT_ERROR(kUsage, "is an input", train(options_, {}));
  EXPECT_TRUE(fs::exists(options_.model / "model.safetensors"));
}

TEST_F(TrainStage, TheOutputMayEndWithASlashOrBeALink) {
  create_folders(folder_ / "elsewhere");
  fs::create_symlink("elsewhere", folder_ / "link");
  for (const char* name : {"slash/", "link"}) {
    options_.output = folder_ / name;
    train(options_, {});
    EXPECT_TRUE(fs::exists(options_.output / "model.safetensors")) << name;
  }
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_TRUE(fs::exists(folder_ / "elsewhere/model.safetensors"));
}

TEST_F(TrainStage, StopsAndContinuesToTheSameFiles) {
  for (const std::int64_t pairs_per_step : {2, 0}) {
    const std::string suffix = std::to_string(pairs_per_step);
    options_.pairs_per_step = pairs_per_step;
    options_.output = folder_ / ("whole" + suffix);
    train(options_, {});
    TrainOptions halves = options_;
    halves.output = folder_ / ("halves" + suffix);
    halves.stop_after_steps = 3;
    EXPECT_FALSE(train(halves, {}).finished);
    EXPECT_FALSE(fs::exists(halves.output));
    halves.stop_after_steps = 0;
    EXPECT_TRUE(train(halves, {}).finished);
    for (const char* name : {"model.safetensors", "metrics.jsonl", "config.json"}) {
      EXPECT_EQ(read_file(options_.output / name), read_file(halves.output / name)) << name;
    }
  }
}

TEST_F(TrainStage, ASingleStepMovesTheModel) {
  options_.pairs_per_step = 64;
  options_.epochs = 1;
  EXPECT_EQ(train(options_, {}).num_steps, 1);
  EXPECT_TRUE(weights_differ(options_.model, options_.output));
}

TEST_F(TrainStage, ASmallSetIsTrainedInSeveralSteps) {
  const TrainOptions defaults;
  options_.pairs_per_step = defaults.pairs_per_step;
  options_.learning_rate = defaults.learning_rate;
  options_.epochs = defaults.epochs;
  EXPECT_EQ(train(options_, {}).num_steps, 4);
  EXPECT_TRUE(weights_differ(options_.model, options_.output));
  const auto manifest = read_json(options_.output / "manifest.json");
  EXPECT_EQ(manifest["options"]["pairs-per-step"], 0);
  EXPECT_EQ(manifest["pairs_per_step"], 1);
  EXPECT_EQ(manifest["num_steps"], 4);
}

TEST_F(TrainStage, ATrainingThatChangesNoWeightIsAnError) {
  options_.learning_rate = 1e-60;
  EXPECT_THAT(failure(options_, ErrorKind::kInput),
              AllOf(HasSubstr("changed no weight"), HasSubstr("raise --learning-rate")));
  EXPECT_FALSE(fs::exists(partial_path(options_.output)));
  // Below half the spacing of bfloat16 everywhere, so that saving rounds it away.
  options_.learning_rate = 1e-9;
  options_.model = copied_model();
  round_weights(options_.model / "model.safetensors");
  options_.save_dtype = SaveDType::kBFloat16;
  EXPECT_THAT(failure(options_, ErrorKind::kInput), HasSubstr("--save-dtype float32"));
  EXPECT_FALSE(fs::exists(partial_path(options_.output)));
  options_.save_dtype = SaveDType::kFloat32;
  train(options_, {});
  EXPECT_TRUE(weights_differ(options_.model, options_.output));
}

TEST_F(TrainStage, AFailedTrainingLeavesAnEarlierOutputAsItWas) {
  train(options_, {});
  const std::string weights = read_file(options_.output / "model.safetensors");
  options_.learning_rate = 1e-60;
  options_.fresh = true;
  EXPECT_TRUE(charm::test::throws_error(ErrorKind::kInput, "changed no weight",
                                        [&] { train(options_, {}); }));
  EXPECT_EQ(read_file(options_.output / "model.safetensors"), weights);
  EXPECT_FALSE(fs::exists(partial_path(options_.output)));
}

TEST_F(TrainStage, PairsOfTwoEqualSidesAreDropped) {
  options_.preferences = folder_ / "pairs.jsonl";
  std::string text;
  for (const char* prompt : {"a", "b", "c"}) {
    const std::string side = std::string(R"([{"role":"user","content":")") + prompt +
                             R"("},{"role":"assistant","content":"b"}])";
    text += R"({"chosen":)" + side + R"(,"rejected":)" + side + "}\n";
  }
  write_file(options_.preferences, text);
  options_.weight_decay = 0.0;
  EXPECT_THAT(failure(options_, ErrorKind::kInput), HasSubstr("no pair is left to train on"));
}

TEST_F(TrainStage, AKilledRunContinuesToTheSameFiles) {
  // The child process runs this test anew up to EXPECT_EXIT, so the folder's name must not change
  // between the two.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  TrainOptions killed = options_;
  killed.output = fs::temp_directory_path() / "charm_train_killed";
  killed.checkpoint_every = 2;
  fs::remove_all(partial_path(killed.output));
  fs::remove_all(killed.output);
  const auto die_at_step_5 = [](const Progress& progress) {
    if (progress.done == 5) std::raise(SIGKILL);
  };
  EXPECT_EXIT(train(killed, die_at_step_5), ::testing::KilledBySignal(SIGKILL), "");
  EXPECT_FALSE(fs::exists(killed.output));
  ASSERT_TRUE(fs::exists(partial_path(killed.output) / "checkpoint.safetensors"));

  train(killed, {});
  train(options_, {});
  for (const char* name : {"model.safetensors", "metrics.jsonl", "config.json"}) {
    EXPECT_EQ(read_file(options_.output / name), read_file(killed.output / name)) << name;
  }
  fs::remove_all(killed.output);
}

TEST_F(TrainStage, TheWorkOfARunWithOtherOptionsIsKept) {
  options_.stop_after_steps = 3;
  train(options_, {});
  const fs::path checkpoint = partial_path(options_.output) / "checkpoint.safetensors";
  const std::string work = read_file(checkpoint);
  TrainOptions other = options_;
  other.learning_rate = 0.125;
  other.weight_decay = 0.25;
  other.seed = 5;
  other.threads = 1;
  other.checkpoint_every = 7;
  const std::string refusal = failure(other, ErrorKind::kUsage);
  EXPECT_THAT(refusal, AllOf(HasSubstr("checkpoint.safetensors: the checkpoint after 3 steps of a "
                                       "run with other options or inputs (--seed "),
                             HasSubstr(", here 5; --learning-rate "), HasSubstr(", here 0.125; "),
                             HasSubstr(", here 0.25); continue that run"), HasSubstr("--fresh")));
  other = options_;
  other.preferences = folder_ / "pairs.jsonl";
  write_file(other.preferences, read_file(options_.preferences) + "\n");
  EXPECT_THAT(failure(other, ErrorKind::kUsage),
              HasSubstr("(" + other.preferences.string() + ": other content)"));
  EXPECT_EQ(read_file(checkpoint), work) << "nothing is lost by a wrong option";

  // Under another path it is the same run.
  fs::copy_file(options_.preferences, other.preferences, fs::copy_options::overwrite_existing);
  other.stop_after_steps = 4;
  EXPECT_EQ(train(other, {}).num_steps, 4);
  other.learning_rate = 0.125;
  other.replace_other = true;  // as a recipe, whose settings changed
  other.stop_after_steps = 2;
  EXPECT_EQ(train(other, {}).num_steps, 2);
  other.replace_other = false;
  other.learning_rate = 0.5;
  other.fresh = true;
  other.stop_after_steps = 1;
  EXPECT_EQ(train(other, {}).num_steps, 1);
}

TEST_F(TrainStage, NewHeadIsForCausalModelsOnly) {
  options_.new_head = true;
  EXPECT_THAT(failure(options_, ErrorKind::kUsage), HasSubstr("trained head"));
  options_.model = copied_model();
  auto config = read_json(options_.model / "config.json");
  config["architectures"] = {"LlamaForCausalLM"};
  write_file(options_.model / "config.json", config.dump());
  {
    const engine::SafetensorsFile file(options_.model / "model.safetensors");
    engine::NamedTensors tensors;
    for (const auto& [name, info] : file.tensors()) {
      if (name != "score.weight") tensors.emplace_back(name, file.view(name));
    }
    engine::write_safetensors(folder_ / "model" / "model.safetensors", tensors);
  }
  options_.new_head = false;
  EXPECT_THAT(failure(options_, ErrorKind::kInput), HasSubstr("--new-head"));
  options_.new_head = true;
  options_.layers = 1;
  train(options_, {});
  const engine::DecoderConfig trained = engine::load_model_config(options_.output);
  EXPECT_EQ(trained.architecture, "LlamaForSequenceClassification");
  EXPECT_EQ(trained.num_layers, 1);
  engine::load_weights(options_.output, trained, {.dtype = engine::DType::kFloat32});
}

TEST_F(TrainStage, AGatedHeadIsRefused) {
  options_.model = fs::path(charm::test::kSourceDir) / "tests/data/golden/models/armorm";
  EXPECT_THAT(failure(options_, ErrorKind::kInput), HasSubstr("can be scored, but not trained"));
}

TEST_F(TrainStage, AMissingHeadIsNeverMadeUp) {
  options_.model = copied_model();
  const engine::SafetensorsFile file(options_.model / "model.safetensors");
  engine::NamedTensors tensors;
  for (const auto& [name, info] : file.tensors()) {
    if (name != "score.weight") tensors.emplace_back(name, file.view(name).clone());
  }
  engine::write_safetensors(options_.model / "model.safetensors", tensors);
  EXPECT_THAT(failure(options_, ErrorKind::kInput), HasSubstr("score.weight"));
}

TEST_F(TrainStage, BadPairsAreNamed) {
  options_.preferences = folder_ / "pairs.jsonl";
  const std::string good =
      R"({"chosen":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],)"
      R"("rejected":[{"role":"user","content":"a"},{"role":"assistant","content":"c"}]})";
  write_file(options_.preferences, good + "\n{\"chosen\":\n");
  EXPECT_THAT(failure(options_, ErrorKind::kInput), HasSubstr("pairs.jsonl:2"));
  write_file(options_.preferences, good + "\n" + good + "\n");
  options_.use_margin = true;
  EXPECT_THAT(failure(options_, ErrorKind::kInput),
              AllOf(HasSubstr("pair 1"), HasSubstr("--use-margin")));
  options_.soft_labels = true;
  EXPECT_THAT(failure(options_, ErrorKind::kUsage), HasSubstr("--use-margin and --soft-labels"));
  options_.use_margin = false;
  EXPECT_THAT(failure(options_, ErrorKind::kInput), HasSubstr("--soft-labels"));
}

TEST_F(TrainStage, PairsOfEqualTextsAreDroppedAndCounted) {
  const std::string pairs = read_file(options_.preferences);
  options_.preferences = folder_ / "pairs.jsonl";
  const std::string same = R"({"prompt":"a","chosen":"b","rejected":"b"})"
                           "\n";
  write_file(options_.preferences, pairs + same);
  EXPECT_EQ(train(options_, {}).num_train_pairs, 4);
  EXPECT_EQ(read_json(options_.output / "manifest.json")["num_equal_texts"], 1);
}

TEST_F(TrainStage, HeldOutPairsOfAFile) {
  options_.eval_preferences = folder_ / "held_out.jsonl";
  const std::string pairs = read_file(options_.preferences);
  write_file(*options_.eval_preferences, pairs.substr(0, pairs.find('\n') + 1));
  const TrainResult result = train(options_, {});
  EXPECT_EQ(result.eval_after->num_pairs, 1);
  EXPECT_EQ(result.num_train_pairs, 4)
      << "both pairs of the held-out prompt must not be trained on";
}

/// As scored: no token beyond the positions that the model has.
TEST_F(TrainStage, TextsEndAtTheModelsPositions) {
  const fs::path whole = folder_ / "whole", cut = folder_ / "cut";
  options_.output = whole;
  train(options_, {});
  options_.output = cut;
  options_.max_tokens = 12;
  train(options_, {});
  EXPECT_TRUE(weights_differ(whole, cut));
  options_.model = copied_model();
  auto config = read_json(options_.model / "config.json");
  config["max_position_embeddings"] = 12;
  write_file(options_.model / "config.json", config.dump());
  options_.output = folder_ / "short";
  options_.max_tokens = TrainOptions().max_tokens;
  train(options_, {});
  EXPECT_FALSE(weights_differ(cut, options_.output));
}

TEST_F(TrainStage, AClosingPadBeyondTheOriginalLengthOfDynamicRopeIsRefused) {
  options_.model = copied_model();
  auto config = read_json(options_.model / "config.json");
  config["max_position_embeddings"] = 12;
  config["rope_parameters"] = {{"rope_type", "dynamic"}, {"rope_theta", 10000.0}, {"factor", 8.0}};
  write_file(options_.model / "config.json", config.dump());
  EXPECT_THAT(failure(options_, ErrorKind::kInput),
              AllOf(HasSubstr("ends with the pad token"), HasSubstr("--max-tokens 12")));
}

TEST_F(TrainStage, OptionsOutOfRange) {
  const auto with = [&](auto change) {
    TrainOptions options = options_;
    change(options);
    return failure(options, ErrorKind::kUsage);
  };
  EXPECT_THAT(with([](auto& o) { o.epochs = 0.01; }),
              AllOf(HasSubstr("--epochs 0.01"), HasSubstr("4 training pairs")));
  EXPECT_THAT(with([](auto& o) { o.layers = 99; }), HasSubstr("--layers 99"));
  EXPECT_THAT(with([](auto& o) { o.freeze_layers = 99; }), HasSubstr("--freeze-layers 99"));
  EXPECT_THAT(with([](auto& o) { o.device = "tpu"; }), HasSubstr("--device tpu"));
}

TEST_F(TrainStage, AReadOnlyPlaceIsFoundBeforeTheWork) {
  write_file(folder_ / "file", "x");
  options_.output = folder_ / "file" / "output";
  EXPECT_THAT(failure(options_, ErrorKind::kIo), HasSubstr("file"));
}

}  // namespace
}  // namespace charm::train
