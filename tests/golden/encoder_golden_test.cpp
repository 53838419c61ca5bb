// Tiny bidirectional encoders (DeBERTa-v2, v3) against transformers: tokens of pairs of texts, and
// scores.

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include "charm/base/files.h"
#include "charm/engine/disentangled_attention.h"
#include "charm/engine/reward_model.h"
#include "charm/score/scorer.h"
#include "charm/text/conversation_encoder.h"
#include "tests/golden/golden_fixture.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::golden {
namespace {

namespace fs = std::filesystem;

const char* const kEncoders[] = {"deberta-v3",       "deberta-v3-bf16", "absolute-positions",
                                 "own-projections",  "key-terms",       "no-relative-positions",
                                 "deberta-v2-xlarge"};

fs::path encoder_folder(const std::string& name) { return data_dir() / "encoders" / name; }

std::vector<std::int32_t> ids_of(const Json& ids) { return ids.get<std::vector<std::int32_t>>(); }

std::unique_ptr<engine::RewardModel> load(const fs::path& folder, engine::DTypeChoice dtype,
                                          int threads = 2) {
  return engine::load_reward_model(
      folder, {.dtype = dtype, .device = engine::DeviceChoice::kCpu, .threads = threads});
}

std::vector<Response> pairs_of(const Json& fixture) {
  std::vector<Response> rows;
  for (const Json& row : fixture["rows"]) {
    Response response;
    response.prompt.push_back({"user", row["prompt"]});
    response.prompt_id = prompt_id_of(response.prompt);
    response.response = row["response"];
    response.policy = "golden";
    rows.push_back(std::move(response));
  }
  return rows;
}

std::vector<float> scores_of(engine::RewardModel& model, const text::ConversationEncoder& encoder,
                             const std::vector<Response>& rows, std::int64_t budget_tokens = 0) {
  const score::RowStore store(rows);
  std::vector<float> scores;
  for (const score::RowScore& row :
       score::score_rows(model, encoder, store, store.all_rows(),
                         {.budget_tokens = budget_tokens, .threads = 1})) {
    EXPECT_FALSE(row.error) << *row.error;
    scores.push_back(row.score);
  }
  return scores;
}

text::EncoderOptions pair_options() {
  text::EncoderOptions options;
  options.text_pairs = true;
  return options;
}

class EncoderGolden
    : public ::testing::TestWithParam<std::tuple<const char*, engine::DTypeChoice>> {};

TEST_P(EncoderGolden, ScoresOfPairsEqualTransformers) {
  const auto [name, dtype] = GetParam();
  const Json fixture = read_json(encoder_folder(name) / "golden.json");
  const text::ConversationEncoder encoder(encoder_folder(name), pair_options());
  const std::vector<float> scores =
      scores_of(*load(encoder_folder(name), dtype), encoder, pairs_of(fixture));
  const bool bfloat16 = dtype == engine::DTypeChoice::kBFloat16;
  Worst worst(bfloat16 ? "score in bfloat16" : "score");
  for (std::size_t r = 0; r < scores.size(); ++r) {
    worst.add(scores[r], fixture["rows"][r]["score_float64"].get<double>(),
              "row " + std::to_string(r));
  }
  worst.check(fixture["tolerance"][bfloat16 ? "score_bfloat16" : "score"].get<double>());
}

TEST_P(EncoderGolden, ScoresDependOnTheRowAlone) {
  const auto [name, dtype] = GetParam();
  const std::vector<Response> rows = pairs_of(read_json(encoder_folder(name) / "golden.json"));
  const text::ConversationEncoder encoder(encoder_folder(name), pair_options());
  const std::vector<float> together = scores_of(*load(encoder_folder(name), dtype), encoder, rows);
  const auto model = load(encoder_folder(name), dtype, /*threads=*/1);
  EXPECT_EQ(scores_of(*model, encoder, rows, /*budget_tokens=*/40), together);
  for (std::size_t r = 0; r < rows.size(); ++r)
    EXPECT_EQ(scores_of(*model, encoder, {rows[r]}).front(), together[r]) << "row " << r;
}

INSTANTIATE_TEST_SUITE_P(Models, EncoderGolden,
                         ::testing::Combine(::testing::ValuesIn(kEncoders),
                                            ::testing::Values(engine::DTypeChoice::kFloat32,
                                                              engine::DTypeChoice::kBFloat16)),
                         [](const auto& test) {
                           const bool float32 =
                               std::get<1>(test.param) == engine::DTypeChoice::kFloat32;
                           return test_name(std::get<0>(test.param)) +
                                  (float32 ? "_float32" : "_bfloat16");
                         });

TEST(EncoderText, TokensOfPairsEqualTransformers) {
  const fs::path folder = encoder_folder("deberta-v3");
  const Json fixture = read_json(folder / "golden.json");
  const std::vector<Response> rows = pairs_of(fixture);
  const text::ConversationEncoder whole(folder, pair_options());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const Json& expected = fixture["rows"][r];
    const text::EncodedConversation pair = whole.encode(rows[r].prompt, rows[r].response);
    EXPECT_EQ(pair.ids, ids_of(expected["ids"])) << "row " << r;
    EXPECT_EQ(pair.prompt_length, expected["prompt_length"].get<std::int64_t>()) << "row " << r;
    EXPECT_FALSE(pair.truncated);
    for (const auto& [side, truncation] : {std::pair("left", text::Truncation::kLeft),
                                           std::pair("right", text::Truncation::kRight)}) {
      text::EncoderOptions options = pair_options();
      options.max_tokens = fixture["max_tokens"].get<std::int64_t>();
      options.truncation = truncation;
      const text::EncodedConversation cut =
          text::ConversationEncoder(folder, options).encode(rows[r].prompt, rows[r].response);
      EXPECT_EQ(cut.ids, ids_of(expected["cut"][side])) << "row " << r << ", " << side;
      EXPECT_EQ(cut.full_length, std::ssize(pair.ids));
    }
  }
}

TEST(EncoderText, TemplatedConversationsAreOneText) {
  const fs::path folder = encoder_folder("absolute-positions");
  const Json fixture = read_json(folder / "golden.json");
  const charm::testing::TempFolder files;
  text::EncoderOptions options = pair_options();
  options.template_file = files.file("chat.jinja", fixture["template"].get<std::string>());
  const text::ConversationEncoder encoder(folder, options);
  const auto model = load(folder, engine::DTypeChoice::kFloat32);
  const std::vector<Response> rows = pairs_of(fixture);
  Worst worst("score of a templated conversation");
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (!fixture["rows"][r].contains("templated")) continue;
    const Json& expected = fixture["rows"][r]["templated"];
    EXPECT_EQ(encoder.encode(rows[r].prompt, rows[r].response).ids, ids_of(expected["ids"]))
        << "row " << r;
    worst.add(scores_of(*model, encoder, {rows[r]}).front(), expected["score"].get<double>(),
              "row " + std::to_string(r));
  }
  worst.check(fixture["tolerance"]["score"].get<double>());
}

TEST(RelativePositions, BucketsEqualTransformers) {
  for (const Json& bucket_case : read_json(data_dir() / "encoders" / "buckets.json")["cases"]) {
    engine::RelativeAttention config;
    config.buckets = config.span = bucket_case["buckets"].get<std::int64_t>();
    config.max_position = bucket_case["max_position"].get<std::int64_t>();
    std::int64_t distance = bucket_case["first_distance"].get<std::int64_t>();
    for (const Json& row : bucket_case["rows"]) {
      EXPECT_EQ(engine::relative_row(distance, config), row.get<std::int64_t>())
          << "distance " << distance << ", " << config.buckets << " buckets";
      ++distance;
    }
  }
}

}  // namespace
}  // namespace charm::golden
