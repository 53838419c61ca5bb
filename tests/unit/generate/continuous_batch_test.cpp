#include "charm/generate/continuous_batch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "charm/generate/block_pool.h"
#include "tests/unit/generate/fake_causal_lm.h"

namespace charm::generate {
namespace {

struct Job {
  std::vector<std::vector<std::int32_t>> prompts;
  std::size_t samples = 1;
  std::size_t new_tokens = 9;
};

struct Outcome {
  std::map<std::size_t, std::vector<std::int32_t>> outputs;
  std::map<std::size_t, std::string> errors;
};

/// Sequence number = prompt * samples + sample; the token is the argmax plus the sample number.
Outcome generate(FakeCausalLM& model, const BatchOptions& options, const Job& job) {
  Outcome outcome;
  std::size_t next = 0, finished = 0;
  std::vector<std::vector<std::int32_t>> outputs(job.prompts.size() * job.samples);
  run_continuous_batch(
      model, options,
      {.next_prompt = [&]() -> std::optional<TokenPrompt> {
         if (next == job.prompts.size()) return std::nullopt;
         TokenPrompt prompt{.ids = job.prompts[next], .sequences = {}};
         for (std::size_t s = 0; s < job.samples; ++s)
           prompt.sequences.push_back(next * job.samples + s);
         ++next;
         return prompt;
       },
       .next_token = [&](std::size_t sequence,
                         std::span<const float> logits) -> std::optional<std::int32_t> {
         if (outputs[sequence].size() == job.new_tokens + sequence % 5) return std::nullopt;
         const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
         const auto token = static_cast<std::int32_t>(
             (static_cast<std::size_t>(best) + sequence % job.samples) % logits.size());
         outputs[sequence].push_back(token);
         return token;
       },
       .on_finished =
           [&](std::size_t sequence, const std::optional<std::string>& error) {
             ++finished;
             if (error) {
               outcome.errors[sequence] = *error;
             } else {
               outcome.outputs[sequence] = outputs[sequence];
             }
           }});
  EXPECT_EQ(finished, outputs.size());
  return outcome;
}

Job random_job(std::size_t prompts, std::size_t samples) {
  RandomStream stream(4, "continuous_batch_test");
  Job job;
  job.samples = samples;
  for (std::size_t p = 0; p < prompts; ++p) {
    std::vector<std::int32_t> ids(1 + stream.below(23));
    for (auto& id : ids) id = static_cast<std::int32_t>(stream.below(20));
    job.prompts.push_back(ids);
  }
  return job;
}

TEST(ContinuousBatch, OutputsDoNotDependOnScheduling) {
  const Job job = random_job(20, 3);
  FakeCausalLM alone({});
  const Outcome expected = generate(alone, {.max_sequences = 1, .chunk_tokens = 1000}, job);
  ASSERT_EQ(expected.outputs.size(), 60u);
  for (const std::int64_t sequences : {2, 7, 64}) {
    for (const std::int64_t chunk : {1, 5, 1000}) {
      for (const std::int64_t blocks :
           {9, 14, 40, 1000}) {  // 9 blocks hold the longest sequence alone
        FakeCausalLM model({.blocks = blocks});
        const Outcome found =
            generate(model, {.max_sequences = sequences, .chunk_tokens = chunk}, job);
        EXPECT_EQ(found.outputs, expected.outputs)
            << sequences << " sequences, chunks of " << chunk << ", blocks " << blocks;
        EXPECT_TRUE(found.errors.empty());
        EXPECT_LE(model.most_sequences, sequences + (sequences + chunk));
      }
    }
  }
}

TEST(ContinuousBatch, SamplesShareTheirPrefill) {
  Job job;
  job.prompts = {std::vector<std::int32_t>(30, 7)};
  job.samples = 8;
  job.new_tokens = 1;
  FakeCausalLM model({});
  generate(model, {}, job);
  EXPECT_LT(model.tokens_computed, 2 * 30);
}

TEST(ContinuousBatch, StepsAreBounded) {
  FakeCausalLM model({.blocks = 1000});
  generate(model, {.max_sequences = 6, .chunk_tokens = 10}, random_job(30, 1));
  EXPECT_LE(model.largest_step, 10);
  EXPECT_GE(model.most_sequences, 6);
}

TEST(ContinuousBatch, SequencesThatDoNotFitAreReported) {
  Job job = random_job(3, 1);
  job.prompts[0] = std::vector<std::int32_t>(20, 3);  // 21 tokens need six blocks of four
  job.prompts[1] = std::vector<std::int32_t>(12, 3);  // fits, but not with its output
  job.prompts[2] = {1, 2};
  FakeCausalLM model({.blocks = 5});
  const Outcome found = generate(model, {}, job);
  EXPECT_EQ(found.errors.at(0),
            "21 tokens do not fit into the KV cache of 20 (5.0 MiB): increase --cache-memory");
  EXPECT_EQ(found.errors.at(1),
            "the KV cache is full after 21 tokens (5.0 MiB): increase --cache-memory");
  EXPECT_EQ(found.outputs.at(2).size(), 11u);
}

TEST(ContinuousBatch, WithoutPromptsThereIsNoOutput) {
  FakeCausalLM model({});
  EXPECT_TRUE(generate(model, {}, {}).outputs.empty());
}

TEST(BlockPool, CountsReferences) {
  BlockPool pool(3);
  auto two = pool.allocate(2);
  ASSERT_TRUE(two);
  EXPECT_FALSE(pool.allocate(2));
  EXPECT_EQ(pool.num_free(), 1);
  pool.share(two->front());
  std::vector<std::int32_t> other = {two->front()};
  pool.release(*two);
  EXPECT_EQ(pool.num_free(), 2);
  pool.release(other);
  EXPECT_EQ(pool.num_free(), 3);
  EXPECT_TRUE(other.empty());
}

}  // namespace
}  // namespace charm::generate
