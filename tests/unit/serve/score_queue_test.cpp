#include "charm/serve/score_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <limits>
#include <map>

#include "charm/base/error.h"
#include "charm/base/random.h"
#include "charm/engine/model_config.h"
#include "tests/support/position_sums.h"
#include "tests/support/source_dir.h"

namespace charm::serve {
namespace {

/// Scores a sequence by a sum over its tokens. Can be held before a batch.
class HeldRewardModel final : public engine::RewardModel {
 public:
  std::vector<float> score(const engine::PackedBatch& batch) override {
    {
      std::unique_lock lock(mutex);
      ++num_begun;
      changed.notify_all();
      changed.wait(lock, [this] { return !held; });
    }
    num_tokens += batch.num_tokens();
    std::vector<float> scores = test::position_sums(batch);
    if (std::ranges::count(scores, poison) > 0)
      throw Error(ErrorKind::kInput, "the score is not finite");
    return scores;
  }
  const engine::DecoderConfig& config() const override { return config_; }
  engine::Provenance provenance() const override { return {}; }

  void hold() {
    const std::lock_guard lock(mutex);
    held = true;
  }
  void release() {
    {
      const std::lock_guard lock(mutex);
      held = false;
    }
    changed.notify_all();
  }
  void wait_until_begun(int count) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return num_begun >= count; });
  }

  const engine::DecoderConfig config_{.vocab_size = 1 << 20, .max_positions = 4096};
  std::mutex mutex;
  std::condition_variable changed;
  bool held = false;
  int num_begun = 0;
  std::atomic<std::int64_t> num_tokens{0};
  float poison = std::numeric_limits<float>::quiet_NaN();
};

std::filesystem::path model_dir() {
  return std::filesystem::path(charm::test::kSourceDir) / "tests/data/golden/models/chat";
}

ScoreInput chat(const std::string& prompt, const std::string& response) {
  return Exchange{.prompt = {{"user", prompt}}, .response = {"assistant", response}};
}

class ServeQueue : public ::testing::Test {
 protected:
  std::future<std::vector<ScoreResult>> submit(ScoreQueue& queue, std::vector<ScoreInput> inputs,
                                               std::shared_ptr<const std::atomic<bool>> abandoned =
                                                   std::make_shared<std::atomic<bool>>(false)) {
    auto promise = std::make_shared<std::promise<std::vector<ScoreResult>>>();
    std::future<std::vector<ScoreResult>> future = promise->get_future();
    const bool has_room = queue.submit(
        std::move(inputs), std::move(abandoned),
        [promise](std::vector<ScoreResult> results) { promise->set_value(std::move(results)); });
    EXPECT_TRUE(has_room);
    return future;
  }

  HeldRewardModel model_;
  text::ConversationEncoder encoder_{model_dir(), {}};
  Metrics metrics_;
};

TEST_F(ServeQueue, ResultsAreThoseOfScoreRows) {
  RandomStream random(3, "serve");
  std::vector<Response> rows;
  for (int r = 0; r < 300; ++r) {
    Response row;
    row.prompt = {{"user", "question " + std::to_string(r % 40)}};
    for (std::uint64_t word = random.below(60); word > 0; --word) row.response += "word ";
    row.response += std::to_string(r);
    rows.push_back(std::move(row));
  }
  const score::RowStore store(rows);
  const auto expected = score::score_rows(model_, encoder_, store, store.all_rows(), {});

  ScoreQueue queue(model_, encoder_, {.scorer = {.budget_tokens = 200}}, metrics_);
  std::vector<std::vector<std::size_t>> requests;
  std::vector<std::future<std::vector<ScoreResult>>> futures;
  for (std::size_t next = 0; next < rows.size();) {
    std::vector<ScoreInput> inputs;
    requests.emplace_back();
    for (std::uint64_t n = 1 + random.below(7); n > 0 && next < rows.size(); --n, ++next) {
      inputs.emplace_back(Exchange{.prompt = rows[next].prompt, .response = rows[next].message()});
      requests.back().push_back(next);
    }
    futures.push_back(submit(queue, std::move(inputs)));
  }
  for (std::size_t q = 0; q < requests.size(); ++q) {
    const std::vector<ScoreResult> results = futures[q].get();
    ASSERT_EQ(results.size(), requests[q].size());
    for (std::size_t i = 0; i < results.size(); ++i) {
      EXPECT_EQ(results[i].row.score, expected[requests[q][i]].score);
      EXPECT_EQ(results[i].row.num_tokens, expected[requests[q][i]].num_tokens);
    }
  }
}

TEST_F(ServeQueue, WaitingRequestsShareTheirPrompt) {
  const std::string prompt(400, 'p');
  model_.hold();
  ScoreQueue queue(model_, encoder_, {}, metrics_);
  auto first = submit(queue, {chat("hi", "a")});
  model_.wait_until_begun(1);
  std::vector<std::future<std::vector<ScoreResult>>> others;
  for (const char* response : {"a", "b", "c", "d"})
    others.push_back(submit(queue, {chat(prompt, response)}));
  model_.release();
  first.get();
  std::int64_t separate = 0;
  for (auto& other : others) separate += other.get()[0].row.num_tokens;
  EXPECT_EQ(model_.num_begun, 2);
  EXPECT_LT(model_.num_tokens, separate / 2);
}

TEST_F(ServeQueue, RenderedTextsScoreAsTheirConversations) {
  ScoreQueue queue(model_, encoder_, {}, metrics_);
  const Conversation prompt = {{"user", "question"}};
  const std::string rendered =
      encoder_.chat_template().render(prompt, Message{"assistant", "answer"});
  const auto results = submit(queue, {chat("question", "answer"), rendered}).get();
  EXPECT_EQ(results[0].row.score, results[1].row.score);
  EXPECT_EQ(results[0].row.num_tokens, results[1].row.num_tokens);
}

TEST_F(ServeQueue, AFullQueueRefuses) {
  model_.hold();
  ScoreQueue queue(model_, encoder_, {.max_waiting = 3}, metrics_);
  const auto never = std::make_shared<std::atomic<bool>>(false);
  auto running = submit(queue, {chat("hi", "a")});
  model_.wait_until_begun(1);
  auto waiting = submit(queue, {chat("hi", "b"), chat("hi", "c")});
  EXPECT_EQ(queue.num_waiting(), 2);
  EXPECT_FALSE(queue.submit({chat("hi", "d"), chat("hi", "e")}, never,
                            [](const std::vector<ScoreResult>&) { ADD_FAILURE(); }));
  EXPECT_GE(queue.retry_after_s(), 1);
  auto last = submit(queue, {chat("hi", "f")});
  model_.release();
  EXPECT_EQ(running.get().size() + waiting.get().size() + last.get().size(), 4u);
  EXPECT_EQ(queue.num_waiting(), 0);
}

TEST_F(ServeQueue, AbandonedRequestsAreDropped) {
  model_.hold();
  ScoreQueue queue(model_, encoder_, {}, metrics_);
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  auto running = submit(queue, {chat("hi", "a")});
  model_.wait_until_begun(1);
  auto dropped = submit(queue, {chat("hi", "b"), chat("hi", "c")}, gone);
  *gone = true;
  auto stays = submit(queue, {chat("hi", "d")});
  model_.release();
  EXPECT_FALSE(running.get()[0].row.error);
  EXPECT_FALSE(stays.get()[0].row.error);
  EXPECT_TRUE(dropped.get()[0].row.error);
  EXPECT_NE(metrics_.text(0, 0).find("charm_dropped_total 2\n"), std::string::npos);
  EXPECT_NE(metrics_.text(0, 0).find("charm_scores_total 2\n"), std::string::npos);
}

TEST_F(ServeQueue, AScoreThatIsNotFiniteIsOneConversationsError) {
  const score::RowStore store({[] {
    Response row;
    row.prompt = {{"user", "hi"}};
    row.response = "poison";
    return row;
  }()});
  model_.poison = score::score_rows(model_, encoder_, store, store.all_rows(), {})[0].score;
  ScoreQueue queue(model_, encoder_, {}, metrics_);
  const auto results =
      submit(queue, {chat("hi", "a"), chat("hi", "poison"), chat("hi", "b")}).get();
  EXPECT_FALSE(results[0].row.error);
  EXPECT_TRUE(results[1].row.error);
  EXPECT_FALSE(results[1].server_fault);
  EXPECT_FALSE(results[2].row.error);
}

TEST_F(ServeQueue, RefusedConversationsDoNotAffectOthers) {
  const text::ConversationEncoder strict(
      model_dir(), {.max_tokens = 30, .truncation = text::Truncation::kError});
  ScoreQueue queue(model_, strict, {}, metrics_);
  const auto results = submit(queue, {chat("hi", std::string(400, 'x')), chat("hi", "a")}).get();
  EXPECT_TRUE(results[0].row.error);
  EXPECT_FALSE(results[1].row.error);
}

TEST_F(ServeQueue, TheEndScoresWhatWaits) {
  std::vector<std::future<std::vector<ScoreResult>>> futures;
  {
    ScoreQueue queue(model_, encoder_, {.scorer = {.budget_tokens = 50}}, metrics_);
    for (int i = 0; i < 100; ++i) futures.push_back(submit(queue, {chat("hi", std::to_string(i))}));
  }
  for (auto& future : futures) EXPECT_FALSE(future.get()[0].row.error);
}

TEST_F(ServeQueue, ManyThreadsMaySubmit) {
  ScoreQueue queue(model_, encoder_, {.max_waiting = 100'000}, metrics_);
  std::atomic<int> num_done{0};
  std::vector<std::thread> clients;
  for (int t = 0; t < 4; ++t) {
    clients.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const auto abandoned = std::make_shared<std::atomic<bool>>(false);
        queue.submit({chat("hi", std::to_string(t) + " " + std::to_string(i))}, abandoned,
                     [&](const std::vector<ScoreResult>&) { ++num_done; });
        if (i % 7 == 0) *abandoned = true;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  while (num_done < 200) std::this_thread::yield();
  EXPECT_EQ(queue.num_waiting(), 0);
}

}  // namespace
}  // namespace charm::serve
