#include "charm/train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "charm/base/error.h"
#include "charm/train/train_checkpoint.h"
#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"
#include "tests/unit/train/tiny_training.h"

namespace charm::train {
namespace {

using ::testing::HasSubstr;
using testing_support::tiny_model;
using testing_support::tiny_pairs;

using Model = std::unique_ptr<engine::TrainableModel>;

class TrainerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.learning_rate = 3e-3;
    options_.pairs_per_step = 8;
    options_.epochs = 3;
    options_.budget_tokens = 100;
    options_.eval_every = 4;
    train_ = tiny_pairs(40);
    eval_ = tiny_pairs(20, 99);
  }

  TrainResult run(const Model& model, const std::string& name, const TrainOptions& options) {
    return Trainer(*model, train_, eval_, options, {folder_ / name}, "run").run({});
  }
  std::string metrics(const std::string& name) {
    return read_file(folder_ / name / "metrics.jsonl");
  }

  const testing::TempFolder folder_;
  TrainOptions options_;
  std::vector<EncodedPair> train_, eval_;
};

void expect_equal(const Model& a, const Model& b) {
  const engine::NamedTensors found = a->state(), expected = b->state();
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const engine::Tensor &x = found[i].second, &y = expected[i].second;
    EXPECT_EQ(std::memcmp(x.bytes(), y.bytes(), x.nbytes()), 0) << found[i].first;
  }
}

TEST_F(TrainerTest, LearnsWhatThePairsShow) {
  const Model model = tiny_model();
  options_.epochs = 8;
  const TrainResult result = run(model, "a", options_);
  EXPECT_EQ(result.num_steps, 40);
  ASSERT_TRUE(result.eval_before && result.eval_after);
  EXPECT_EQ(result.eval_after->num_pairs, 20);
  EXPECT_LT(result.eval_after->loss, result.eval_before->loss - 0.1);
  EXPECT_GT(result.eval_after->accuracy, 0.9);
  EXPECT_LT(result.final_train_loss, 0.4);
  EXPECT_THAT(metrics("a"), HasSubstr(R"({"kind":"eval","when":"during","step":4,)"));
}

TEST_F(TrainerTest, TheModelsOwnBudgetGivesTheSameWeights) {
  const Model own = tiny_model(), small = tiny_model();
  const TrainResult with_small = run(small, "small", options_);
  options_.budget_tokens = 0;
  const TrainResult with_own = run(own, "own", options_);
  EXPECT_GT(own->budget_tokens(), 100);
  expect_equal(own, small);
  EXPECT_EQ(with_own.eval_after.value().accuracy, with_small.eval_after.value().accuracy);
}

TEST_F(TrainerTest, AResumedRunEqualsAnUninterruptedOneBitForBit) {
  for (const bool bfloat16 : {false, true}) {
    const std::string suffix = bfloat16 ? "16" : "32";
    const Model whole = tiny_model({.bfloat16 = bfloat16});
    run(whole, "whole" + suffix, options_);
    TrainOptions half = options_;
    half.stop_after_steps = 7;
    {
      const Model first = tiny_model({.bfloat16 = bfloat16});
      const TrainResult result = run(first, "halves" + suffix, half);
      EXPECT_FALSE(result.finished);
      EXPECT_EQ(result.num_steps, 7);
    }
    // A killed process leaves metrics of steps after the checkpoint, which will be repeated.
    LineAppender(folder_ / ("halves" + suffix) / "metrics.jsonl")
        .append(R"({"kind":"train","step":8)");
    const Model second = tiny_model({.bfloat16 = bfloat16});
    const TrainResult result = run(second, "halves" + suffix, options_);
    EXPECT_TRUE(result.finished);
    expect_equal(whole, second);
    EXPECT_EQ(metrics("whole" + suffix), metrics("halves" + suffix));
  }
}

TEST_F(TrainerTest, CheckpointsAtIntervalsChangeNothing) {
  const Model plain = tiny_model(), saved = tiny_model();
  run(plain, "plain", options_);
  options_.checkpoint_every = 3;
  run(saved, "saved", options_);
  EXPECT_EQ(read_checkpoint_progress(folder_ / "saved" / "checkpoint.safetensors")->step, 12);
  expect_equal(plain, saved);
}

TEST_F(TrainerTest, ADamagedCheckpointIsAnError) {
  const Model model = tiny_model();
  options_.stop_after_steps = 5;
  run(model, "a", options_);
  const fs::path path = folder_ / "a" / "checkpoint.safetensors";
  const std::string whole = read_file(path);
  write_file(path, whole.substr(0, whole.size() - 1));
  EXPECT_ERROR(kInput, "truncated", run(model, "a", options_));
  write_file(path, whole);
  const Model deeper = tiny_model({}, 3);
  try {
    Trainer(*deeper, train_, eval_, options_, {folder_ / "a"}, "run").run({});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), HasSubstr("model.layers.2"));
  }
}

TEST_F(TrainerTest, CountsStepsOfFractionsAndLimits) {
  EXPECT_EQ(count_steps(options_, 40), 15);
  options_.epochs = 0.5;
  EXPECT_EQ(count_steps(options_, 40), 3);
  options_.epochs = 1.0;
  EXPECT_EQ(count_steps(options_, 41), 6);
  options_.max_steps = 4;
  EXPECT_EQ(count_steps(options_, 41), 4);
}

TEST_F(TrainerTest, PairsPerStepFollowThePairsUnlessGiven) {
  EXPECT_EQ(pairs_per_step(options_, 40), 8);
  options_.pairs_per_step = 0;
  for (const auto& [num_pairs, expected] : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {1, 1}, {54, 1}, {127, 1}, {128, 2}, {1840, 28}, {4096, 64}, {100000, 64}}) {
    EXPECT_EQ(pairs_per_step(options_, num_pairs), expected) << num_pairs;
  }
  options_.epochs = 1.0;
  EXPECT_EQ(count_steps(options_, 54), 54);
  EXPECT_EQ(count_steps(options_, 1840), 66);
  EXPECT_EQ(count_steps(options_, 6400), 100);
  options_.max_steps = 3;
  EXPECT_EQ(count_steps(options_, 1840), 3);
  const Model model = tiny_model();
  const TrainResult result = run(model, "a", options_);
  EXPECT_EQ(result.num_steps, 3);
  EXPECT_EQ(result.pairs_per_step, 1);
}

TEST_F(TrainerTest, SoftLabelsFitDifferencesToTheMargins) {
  for (EncodedPair& pair : train_) pair.margin = 0.5f;
  for (EncodedPair& pair : eval_) pair.margin = 0.5f;
  options_.epochs = 12;
  const Model hard = tiny_model(), soft = tiny_model();
  EXPECT_GT(run(hard, "hard", options_).eval_after->margin, 1.0);
  options_.soft_labels = true;
  EXPECT_NEAR(run(soft, "soft", options_).eval_after->margin, 0.5, 0.25);
}

TEST_F(TrainerTest, ContinuesBitForBitWherePromptsStayTogether) {
  options_.shuffle = Shuffle::kPrompts;
  const Model whole = tiny_model(), halves = tiny_model();
  run(whole, "whole", options_);
  TrainOptions half = options_;
  half.stop_after_steps = 7;
  run(halves, "halves", half);
  run(halves, "halves", options_);
  expect_equal(whole, halves);
}

TEST_F(TrainerTest, ANonFiniteLossIsAnError) {
  const Model model = tiny_model();
  options_.learning_rate = 1e30;
  options_.clip_norm = 0.0;
  options_.warmup_fraction = 0.0;
  try {
    run(model, "a", options_);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("expected finite numbers"));
  }
}

TEST_F(TrainerTest, MarginAndCenteringTakePart) {
  const Model plain = tiny_model(), margin = tiny_model(), centred = tiny_model(),
              soft = tiny_model();
  options_.epochs = 0.2;
  options_.warmup_fraction = 0.0;
  const double loss = run(plain, "a", options_).final_train_loss.value();
  options_.use_margin = true;
  EXPECT_GT(run(margin, "b", options_).final_train_loss, loss + 0.05);
  options_.use_margin = false;
  options_.soft_labels = true;
  EXPECT_NE(run(soft, "d", options_).final_train_loss, loss);
  options_.soft_labels = false;
  options_.centering = 1.0;
  EXPECT_GT(run(centred, "c", options_).final_train_loss, loss);
}

}  // namespace
}  // namespace charm::train
