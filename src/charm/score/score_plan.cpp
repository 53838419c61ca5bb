#include "charm/score/score_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>
#include <vector>

#include "charm/base/error.h"
#include "charm/engine/model_config.h"
#include "charm/engine/token_batch.h"

namespace charm::score {
namespace {

constexpr std::size_t kSamplePrompts = 64;
/// Tokens that are scored to measure the speed, at most this share of all.
constexpr std::int64_t kTimedTokens = 512, kTimedShare = 10;

std::vector<std::vector<std::size_t>> rows_by_prompt(const RowStore& store,
                                                     std::span<const std::size_t> rows) {
  std::map<std::size_t, std::vector<std::size_t>> rows_of;
  for (const std::size_t row : rows) rows_of[store.prompt_index(row)].push_back(row);
  std::vector<std::vector<std::size_t>> prompts;
  prompts.reserve(rows_of.size());
  for (auto& [prompt, own] : rows_of) prompts.push_back(std::move(own));
  return prompts;
}

std::size_t bytes_of(const RowStore& store, const std::vector<std::size_t>& rows) {
  std::size_t bytes = 1;
  for (const Message& message : store.prompt(rows.front())) bytes += message.content.size();
  for (const std::size_t row : rows) bytes += store[row].response.size();
  return bytes;
}

/// The rows of one prompt as the model gets them; rows with an error are left out.
std::vector<engine::PromptGroup> encode(const engine::RewardModel& model,
                                        const text::ConversationEncoder& encoder,
                                        const RowStore& store, const std::vector<std::size_t>& rows,
                                        Pooling pooling) {
  const std::vector<std::int32_t> prompt_ids = encoder.prompt_ids(store.prompt(rows.front()));
  const std::int32_t pad = pooling == Pooling::kAuto ? model.config().pad_token_id : -1;
  std::vector<std::pair<std::size_t, engine::PooledRow>> pooled;
  for (const std::size_t row : rows) {
    text::EncodedRow encoded =
        encoder.encode_row(store.prompt(row), prompt_ids, store[row].message());
    if (encoded.error || encoded.tokens.ids.empty()) continue;
    const bool known =
        std::all_of(encoded.tokens.ids.begin(), encoded.tokens.ids.end(),
                    [&](std::int32_t id) { return id >= 0 && id < model.config().vocab_size; });
    if (!known) continue;
    pooled.emplace_back(
        row, engine::make_pooled_row(std::move(encoded.tokens.ids), encoded.tokens.prompt_length,
                                     pad, model.config().gate_tokens));
  }
  return engine::group_by_prompt(std::move(pooled), engine::shares_prompts(model.config()));
}

/// Speed of the second of two runs: the first one reads weights from disk. Empty if the model
/// refuses the sample; the run itself will say why.
std::optional<double> measure_speed(engine::RewardModel& model,
                                    const std::vector<engine::PromptGroup>& groups,
                                    std::int64_t most_tokens) {
  std::vector<engine::PromptGroup> timed;
  std::int64_t num_tokens = 0;
  for (const engine::PromptGroup& group : groups) {
    if (num_tokens + group.num_tokens() > most_tokens) continue;
    num_tokens += group.num_tokens();
    timed.push_back(group);
  }
  if (timed.empty()) return std::nullopt;
  const engine::PackedBatch packed = engine::pack(timed);
  double seconds = 0.0;
  try {
    for (int run = 0; run < 2; ++run) {
      const auto start = std::chrono::steady_clock::now();
      model.score(packed);
      seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
  } catch (const Error&) {
    return std::nullopt;
  }
  return seconds > 0.0 ? std::optional(static_cast<double>(num_tokens) / seconds) : std::nullopt;
}

std::string count_text(std::int64_t count) {
  const auto value = static_cast<double>(count);
  if (count < 10'000) return std::to_string(count);
  return count < 1'000'000 ? fmt::format("{:.0f} thousand", value / 1e3)
                           : fmt::format("{:.1f} million", value / 1e6);
}

std::string duration_text(double seconds) {
  if (seconds < 90.0) return fmt::format("{:.0f} s", std::max(seconds, 1.0));
  if (seconds < 5400.0) return fmt::format("{:.0f} min", seconds / 60.0);
  return seconds < 172'800.0 ? fmt::format("{:.1f} h", seconds / 3600.0)
                             : fmt::format("{:.1f} days", seconds / 86'400.0);
}

std::string fact(const engine::RewardModel& model, std::string_view name) {
  for (const auto& [own, value] : model.provenance()) {
    if (own == name) return value;
  }
  return "";
}

std::string_view reason_of_dtype(engine::DTypeChoice asked, bool is_bfloat16, bool is_on_cpu) {
  if (asked != engine::DTypeChoice::kAuto) return "--dtype";
  if (!is_on_cpu) return "auto: on a GPU";
  return is_bfloat16 ? "auto: this CPU has native bfloat16"
                     : "auto: this CPU has no native bfloat16";
}

}  // namespace

ScorePlan plan_scoring(engine::RewardModel& model, const text::ConversationEncoder& encoder,
                       const RowStore& store, std::span<const std::size_t> rows, Pooling pooling) {
  const std::vector<std::vector<std::size_t>> prompts = rows_by_prompt(store, rows);
  const std::size_t stride = (prompts.size() + kSamplePrompts - 1) / kSamplePrompts;
  ScorePlan plan{.num_rows = std::ssize(rows),
                 .num_prompts = std::ssize(prompts),
                 .num_tokens = 0,
                 .estimated = stride > 1,
                 .tokens_per_s = {}};
  std::size_t all_bytes = 0, sample_bytes = 0;
  std::vector<engine::PromptGroup> sample;
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    const std::size_t bytes = bytes_of(store, prompts[p]);
    all_bytes += bytes;
    if (p % stride != 0) continue;
    sample_bytes += bytes;
    for (engine::PromptGroup& group : encode(model, encoder, store, prompts[p], pooling)) {
      plan.num_tokens += group.num_tokens();
      sample.push_back(std::move(group));
    }
  }
  if (sample_bytes == 0) return plan;
  plan.num_tokens =
      static_cast<std::int64_t>(static_cast<double>(plan.num_tokens) *
                                static_cast<double>(all_bytes) / static_cast<double>(sample_bytes));
  plan.tokens_per_s =
      measure_speed(model, sample, std::min(kTimedTokens, plan.num_tokens / kTimedShare));
  return plan;
}

std::string plan_text(const ScorePlan& plan) {
  std::string text =
      fmt::format("{} rows of {} prompts to score, {}{} tokens", plan.num_rows, plan.num_prompts,
                  plan.estimated ? "about " : "", count_text(plan.num_tokens));
  if (!plan.tokens_per_s) return text;
  return text +
         fmt::format("; expected {} (at {} tokens/s)",
                     duration_text(static_cast<double>(plan.num_tokens) / *plan.tokens_per_s),
                     count_text(static_cast<std::int64_t>(*plan.tokens_per_s)));
}

std::string model_text(const ScoreStageOptions& options, const engine::RewardModel& model) {
  const std::string dtype = fact(model, "dtype"), device = fact(model, "device");
  const std::string backend = fact(model, "gemm_backend"), set = fact(model, "instruction_set");
  std::string text = fmt::format(
      "{}: {} in {} ({}) on {}", options.model_dir.string(), fact(model, "architecture"), dtype,
      reason_of_dtype(options.model.dtype, dtype == "bfloat16", device == "cpu"), device);
  if (!backend.empty()) text += ", backend " + backend;
  if (!set.empty()) text += " " + set;
  return text;
}

}  // namespace charm::score
