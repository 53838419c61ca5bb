#include "charm/generate/embedded_generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "tests/support/source_dir.h"
#include "tests/unit/generate/fake_causal_lm.h"

namespace charm::generate {
namespace {

namespace fs = std::filesystem;

const fs::path kModels = fs::path(charm::test::kSourceDir) / "tests/data/golden/models";

// A template that, like many, rejects a system turn.
constexpr const char* kTemplate =
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system turn "
    "here') }}{% endif %}{{ m['content'] }}<|im_end|>{% endfor %}";

std::unique_ptr<EmbeddedGenerator> make_generator(const FakeCausalLM::Shape& shape,
                                                  EmbeddedOptions options = {}) {
  const fs::path file =
      fs::path(testing::TempDir()) / ("embedded_template_" + std::to_string(getpid()) + ".jinja");
  std::ofstream(file) << kTemplate;
  text::EncoderOptions encoding;
  encoding.template_file = file;
  auto encoder = std::make_unique<text::ConversationEncoder>(kModels / "chat", encoding);
  fs::remove(file);
  return std::make_unique<EmbeddedGenerator>(std::make_unique<FakeCausalLM>(shape),
                                             std::move(encoder), std::set<std::int32_t>{2}, options,
                                             storage::Provenance{});
}

FakeCausalLM::Shape chat_shape() {
  return {.blocks = 4000, .block_tokens = 4, .vocab = 267, .positions = 100};
}

std::vector<GenerationRequest> requests_of(std::size_t prompts, std::int32_t samples) {
  std::vector<GenerationRequest> requests;
  for (std::size_t p = 0; p < prompts; ++p) {
    for (std::int32_t s = 0; s < samples; ++s) {
      requests.push_back(
          {.index = requests.size(),
           .prompt_id = "p" + std::to_string(p),
           .prompt = {{"user", std::string(1 + p % 7, static_cast<char>('a' + p % 26))}},
           .sample = s});
    }
  }
  return requests;
}

std::map<std::size_t, GenerationResult> generate(EmbeddedGenerator& generator,
                                                 const std::vector<GenerationRequest>& requests,
                                                 const SamplingOptions& sampling) {
  std::map<std::size_t, GenerationResult> results;
  generator.generate(requests, sampling, [&](GenerationResult result) {
    const std::size_t index = result.index;
    EXPECT_TRUE(results.emplace(index, std::move(result)).second)
        << "request " << index << " completed twice";
  });
  EXPECT_EQ(results.size(), requests.size());
  return results;
}

TEST(EmbeddedGenerator, AResponseDoesNotDependOnTheBatch) {
  const std::vector<GenerationRequest> requests = requests_of(16, 4);
  const SamplingOptions sampling{.temperature = 1.0, .max_new_tokens = 40, .seed = 3};
  const auto together = generate(*make_generator(chat_shape()), requests, sampling);
  std::set<std::string> texts;
  for (const GenerationRequest& request : requests) {
    const auto alone = generate(*make_generator(chat_shape()), {request}, sampling);
    EXPECT_EQ(alone.begin()->second.response, together.at(request.index).response);
    texts.insert(alone.begin()->second.response);
  }
  EXPECT_GT(texts.size(), 60u);  // samples and prompts differ
  const auto reseeded = generate(*make_generator(chat_shape()), requests,
                                 {.temperature = 1.0, .max_new_tokens = 40, .seed = 4});
  EXPECT_NE(reseeded.at(0).response, together.at(0).response);
}

TEST(EmbeddedGenerator, ReportsTheFinishReason) {
  const std::vector<GenerationRequest> requests = requests_of(30, 4);
  const auto results = generate(*make_generator(chat_shape()), requests,
                                {.temperature = 3.0, .top_p = 1.0, .max_new_tokens = 80});
  int stopped = 0, cut = 0;
  for (const auto& [index, result] : results) {
    ASSERT_FALSE(result.error) << *result.error;
    EXPECT_EQ(result.num_prompt_tokens,
              static_cast<std::int32_t>(requests[index].prompt.front().content.size()) + 1);
    if (result.finish_reason == "stop") {
      ++stopped;
    } else {
      ++cut;
      EXPECT_EQ(result.finish_reason, "length");
      EXPECT_EQ(result.num_tokens, 80);
    }
  }
  EXPECT_GT(stopped, 5);
  EXPECT_GT(cut, 5);
}

TEST(EmbeddedGenerator, TheContextEndsAResponse) {
  FakeCausalLM::Shape shape = chat_shape();
  shape.positions = 12;
  const auto results = generate(*make_generator(shape), requests_of(1, 1),
                                {.temperature = 0.0, .stop_token_ids = {}});
  EXPECT_EQ(results.at(0).finish_reason, "length");
  EXPECT_EQ(results.at(0).num_prompt_tokens + results.at(0).num_tokens, 12);
}

TEST(EmbeddedGenerator, StopTokensEndAResponseAndAreNotPartOfIt) {
  const auto free_run = generate(*make_generator(chat_shape()), requests_of(1, 1),
                                 {.temperature = 0.0, .max_new_tokens = 5});
  // The second token of that text as a stop token.
  const auto encoder = text::Tokenizer::load(kModels / "chat");
  const std::string& text = free_run.at(0).response;
  FakeCausalLM probe(chat_shape());
  for (std::int64_t id = 3; id < 267; ++id) {
    const auto stopped =
        generate(*make_generator(chat_shape()), requests_of(1, 1),
                 {.temperature = 0.0, .max_new_tokens = 5, .stop_token_ids = {id}});
    if (stopped.at(0).finish_reason != "stop") continue;
    EXPECT_LE(stopped.at(0).num_tokens, 5);
    EXPECT_TRUE(text.starts_with(stopped.at(0).response));
    EXPECT_LT(stopped.at(0).response.size(), text.size());
    return;
  }
  FAIL() << "no token of the text stopped it";
}

TEST(EmbeddedGenerator, InvalidPromptsAreReported) {
  FakeCausalLM::Shape shape = chat_shape();
  shape.positions = 10;
  std::vector<GenerationRequest> requests = requests_of(6, 1);
  requests[0].prompt = {{"user", " \n"}};
  requests[1].prompt = {{"system", "be brief"}, {"user", "a"}};
  requests[2].prompt = {{"user", std::string(30, 'x')}};
  requests[3].prompt = {};
  requests[4].prompt = {{"user", "\xff"}};
  const auto results = generate(*make_generator(shape), requests, {});
  EXPECT_EQ(results.at(0).error, "the prompt is empty");
  EXPECT_THAT(*results.at(1).error, testing::HasSubstr("no system turn here"));
  EXPECT_EQ(
      results.at(2).error,
      "the prompt has 31 tokens, which leaves no room for a response in the model's context of 10");
  EXPECT_EQ(results.at(3).error, "the prompt is empty");
  EXPECT_THAT(*results.at(4).error, testing::HasSubstr("UTF-8"));
  EXPECT_FALSE(results.at(5).error);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(results.at(i).finish_reason, "");
}

std::string error_of(const EmbeddedOptions& options, ErrorKind kind) {
  try {
    make_embedded_generator(options);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  return "accepted";
}

TEST(EmbeddedGenerator, OtherModelFoldersAreRejected) {
  EXPECT_THAT(error_of({.model_dir = kModels / "chat"}, ErrorKind::kInput),
              testing::HasSubstr("LlamaForSequenceClassification is a reward model and cannot "
                                 "generate"));
  EXPECT_THAT(error_of({.model_dir = "/nowhere"}, ErrorKind::kIo),
              testing::HasSubstr("no config.json"));
}

const fs::path kCausalModels = fs::path(charm::test::kSourceDir) / "tests/data/golden/generate";

TEST(EmbeddedGenerator, ACacheSmallerThanABlockIsRejected) {
  try {
    engine::load_causal_lm(kCausalModels / "llama",
                           {.dtype = engine::DTypeChoice::kFloat32, .cache_bytes = 1000});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kResource);
    EXPECT_THAT(error.what(),
                testing::StartsWith("--cache-memory 1000 bytes: one block of 64 tokens takes "));
  }
}

TEST(EmbeddedGenerator, AModelWithoutAnOutputLayerIsRejected) {
  const fs::path folder =
      fs::path(testing::TempDir()) / ("no_output_layer_" + std::to_string(getpid()));
  fs::create_directories(folder);
  fs::copy_file(kCausalModels / "llama-tied" / "model.safetensors", folder / "model.safetensors",
                fs::copy_options::overwrite_existing);
  nlohmann::json config;
  std::ifstream(kCausalModels / "llama-tied" / "config.json") >> config;
  config["tie_word_embeddings"] = false;
  std::ofstream(folder / "config.json") << config;
  try {
    engine::load_causal_lm(folder, {.dtype = engine::DTypeChoice::kFloat32});
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), testing::HasSubstr("tensor 'lm_head.weight' is missing"));
  }
  fs::remove_all(folder);
}

}  // namespace
}  // namespace charm::generate
