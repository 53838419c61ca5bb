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

TEST(Decoder, AResponseAttendsToItsPromptAndNothingElse) {
  SmallDecoder decoder(small_config(), DType::kFloat32);
  const auto groups = some_groups();
  const std::vector<float> together = decoder.score(groups);
  std::size_t i = 0;
  for (const PromptGroup& group : groups) {
    for (const auto& response : group.responses) {
      std::vector<std::int32_t> whole = group.prompt_ids;
      whole.insert(whole.end(), response.begin(), response.end());
      EXPECT_NEAR(decoder.score({{{}, {whole}, {0}}})[0], together[i], 1e-5) << i;
      ++i;
    }
  }
}

TEST(Decoder, OneServesManySessions) {
  SmallDecoder mine(featured_config(), DType::kFloat32);
  DecoderSession other(mine.decoder.config());
  const auto groups = some_groups();
  const std::vector<float> expected = mine.score(groups);
  const Tensor scores_S = mine.decoder.forward(mine.decoder.layout(pack(groups), other), other);
  EXPECT_EQ(std::vector<float>(scores_S.data<float>(), scores_S.data<float>() + scores_S.numel()),
            expected);
}

TEST(Decoder, WeightsConvertedAsTheyArePackedGiveTheSameBits) {
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
    const DecoderConfig config = featured_config();
    SmallDecoder decoder(config, dtype);
    DecoderWeights weights = random_weights(config, /*seed=*/11);
    for (auto& [name, tensor] : named_weights(weights, config)) {
      if (!name.starts_with("score")) *tensor = tensor->to(dtype);
    }
    const Decoder converted(config, weights, dtype);
    DecoderSession session(config);
    const Tensor scores_S =
        converted.forward(converted.layout(pack(some_groups()), session), session);
    EXPECT_EQ(std::vector<float>(scores_S.data<float>(), scores_S.data<float>() + scores_S.numel()),
              decoder.score(some_groups()));
  }
}

TEST(Decoder, BFloat16StaysCloseToFloat32) {
  SmallDecoder exact(small_config(), DType::kFloat32), coarse(small_config(), DType::kBFloat16);
  const std::vector<float> expected = exact.score(some_groups());
  const std::vector<float> scores = coarse.score(some_groups());
  double scale = 0.0;
  for (const float s : expected) scale = std::max(scale, std::abs(double{s}));
  for (std::size_t i = 0; i < scores.size(); ++i)
    EXPECT_NEAR(scores[i], expected[i], 0.05 * scale) << i;
}

}  // namespace
}  // namespace charm::engine
