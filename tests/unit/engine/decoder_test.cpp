#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/engine/decoder_fixture.h"

namespace charm::engine {
namespace {

std::vector<PromptGroup> some_groups() {
  RandomStream stream(3, "decoder_test");
  return {{random_ids(stream, 40),
           {random_ids(stream, 9), random_ids(stream, 70), random_ids(stream, 1)},
           {0, 1, 2}},
          {{}, {random_ids(stream, 30)}, {3}},
          {random_ids(stream, 1), {random_ids(stream, 5)}, {4}}};
}

class DecoderModes : public testing::TestWithParam<DecoderConfig (*)()> {};
INSTANTIATE_TEST_SUITE_P(Models, DecoderModes,
                         testing::Values(small_config, featured_config, dynamic_config,
                                         expert_config, fused_config));

TEST_P(DecoderModes, InferenceEqualsAutograd) {
  const c10::InferenceMode guard;
  const DecoderConfig config = GetParam()();
  const Decoder autograd(config, small_weights(config, at::kFloat), Mode::kAutograd);
  const std::vector<float> expected = run(autograd, some_groups());
  for (const auto backend :
       {GemmBackend::kCharm, GemmBackend::kOneDnnPacked, GemmBackend::kAtenLinear}) {
    const Decoder inference(config, small_weights(config, at::kFloat), Mode::kInference, backend);
    const std::vector<float> scores = run(inference, some_groups());
    ASSERT_EQ(scores.size(), expected.size());
    for (std::size_t i = 0; i < scores.size(); ++i) EXPECT_NEAR(scores[i], expected[i], 1e-5) << i;
  }
}

TEST(Decoder, AResponseAttendsToItsPromptAndNothingElse) {
  const c10::InferenceMode guard;
  const DecoderConfig config = small_config();
  const Decoder decoder(config, small_weights(config, at::kFloat), Mode::kAutograd);
  const auto groups = some_groups();
  const std::vector<float> together = run(decoder, groups);
  std::size_t i = 0;
  for (const PromptGroup& group : groups) {
    for (const auto& response : group.responses) {
      std::vector<std::int32_t> whole = group.prompt_ids;
      whole.insert(whole.end(), response.begin(), response.end());
      EXPECT_NEAR(run(decoder, {{{}, {whole}, {0}}})[0], together[i], 1e-5) << i;
      ++i;
    }
  }
}

TEST(Decoder, BFloat16StaysCloseToFloat32) {
  const c10::InferenceMode guard;
  const DecoderConfig config = small_config();
  const Decoder exact(config, small_weights(config, at::kFloat), Mode::kInference);
  const Decoder coarse(config, small_weights(config, at::kBFloat16), Mode::kInference);
  const std::vector<float> expected = run(exact, some_groups());
  const std::vector<float> scores = run(coarse, some_groups());
  double scale = 0.0;
  for (const float s : expected) scale = std::max(scale, std::abs(double{s}));
  for (std::size_t i = 0; i < scores.size(); ++i)
    EXPECT_NEAR(scores[i], expected[i], 0.05 * scale) << i;
}

}  // namespace
}  // namespace charm::engine
