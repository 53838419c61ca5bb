#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "charm/base/hashing.h"
#include "charm/engine/causal_lm.h"
#include "charm/engine/heads.h"
#include "charm/evaluate/read_benchmark.h"
#include "charm/hub/hub_cache.h"
#include "charm/pipeline/check.h"
#include "charm/pipeline/inspect.h"
#include "charm/records/response.h"
#include "charm/stats/paired_scores.h"
#include "charm/storage/ratings.h"
#include "charm/storage/record_reader.h"
#include "charm/train/train_stage.h"

namespace charm::pipeline {
namespace {

/// Conversations of each policy that are tokenised: enough for the mean length.
constexpr std::size_t kSampledRows = 12;

bool is_remote(const fs::path& path) { return hub::is_hub_source(path.string()); }

bool is_present(const fs::path& path) {
  std::error_code error;
  return !path.empty() && !is_remote(path) && fs::exists(path, error);
}

/// What a policy answers: prompt ids and their side of the split.
using PromptSides = std::map<std::string, bool>;  // prompt_id -> held out

class RecipeChecker {
 public:
  RecipeChecker(const Recipe& recipe, Problems problems, int threads)
      : recipe_(recipe), threads_(threads) {
    check_.problems = std::move(problems);
  }

  RecipeCheck run() {
    check_.num_policies = std::ssize(recipe_.policies);
    note_remote_sources();
    check_ratings();
    check_.problems.collect([&] { load_reward_model(); });
    for (const RecipePolicy& policy : recipe_.policies)
      check_.problems.collect([&] { check_generating_model(policy); });
    check_.problems.collect([&] { read_prompts(); });
    for (const RecipePolicy& policy : recipe_.policies)
      check_.problems.collect([&] { check_responses(policy); });
    count_prompts();
    for (const RecipeEvaluation& evaluation : recipe_.evaluations)
      check_.problems.collect([&] { check_benchmark(evaluation); });
    estimate();
    return std::move(check_);
  }

 private:
  void note_remote_sources() {
    std::vector<fs::path> sources = {recipe_.reward_model.score.model_dir, recipe_.ratings.file};
    if (recipe_.prompts) sources.push_back(recipe_.prompts->input);
    for (const RecipePolicy& policy : recipe_.policies) {
      sources.push_back(policy.responses);
      if (policy.generation && policy.generation->model_dir)
        sources.push_back(*policy.generation->model_dir);
    }
    for (const fs::path& source : sources) {
      if (is_remote(source))
        check_.notes.push_back(
            fmt::format("{} is not checked: it is downloaded by the run", source.string()));
    }
  }

  void check_ratings() {
    if (!is_present(recipe_.ratings.file)) return;
    std::vector<ArenaRating> ratings;
    const bool is_read = check_.problems.collect([&] {
      ratings = storage::read_ratings(recipe_.ratings.file, {.category = recipe_.ratings.category,
                                                             .date = recipe_.ratings.date});
    });
    if (!is_read) return;
    std::vector<std::string> names;
    for (const RecipePolicy& policy : recipe_.policies) {
      names.push_back(policy.name);
      check_.num_rated += check_.problems.collect([&] {
        storage::match_ratings(std::span(&policy.name, 1), ratings, recipe_.ratings.aliases,
                               recipe_.ratings.file);
      });
    }
    check_.problems.collect([&] { stats::check_distinct_without_case(names); });
  }

  void load_reward_model() {
    const score::ScoreStageOptions& options = recipe_.reward_model.score;
    if (!is_present(options.model_dir)) return;
    const engine::ModelSource source =
        engine::resolve_model_source(options.model_dir, options.model.source);
    config_ = engine::load_model_config(source);
    if (config_->head == engine::HeadKind::kNone) engine::throw_no_reward_head(source, *config_);
    check_.model = fmt::format("{}, {:.3g} M parameters, {}", config_->architecture,
                               static_cast<double>(count_parameters(*config_)) / 1e6,
                               engine::head_of(config_->head).title);
    for (const RecipeCalibration& calibration : recipe_.calibrations) {
      if (recipe_.trains) check_training(calibration, source);
    }
    // A template that is not there is a problem already.
    if (options.encoder.template_file && !is_present(*options.encoder.template_file)) return;
    text::EncoderOptions encoder = options.encoder;
    encoder.template_folder = source.template_folder;
    encoder.text_pairs = config_->encoder.has_value();
    encoder_.emplace(source.tokenizer_folder, encoder);
  }

  void check_training(const RecipeCalibration& calibration, const engine::ModelSource& source) {
    check_.problems.collect([&] {
      try {
        train::check_model(calibration.training, *config_, source);
      } catch (const Error& error) {
        throw error.with_context(fmt::format("train {}", calibration.set));
      }
    });
  }

  void check_generating_model(const RecipePolicy& policy) {
    if (!policy.generation || !policy.generation->model_dir) return;
    const fs::path& folder = *policy.generation->model_dir;
    if (!is_present(folder)) return;
    engine::require_generation(engine::load_model_config(folder));
    const text::ConversationEncoder encoder(folder, {});
    encoder.encode_prompt({{"user", "Hello"}});
  }

  /// The prompts of section `prepare`, as far as they are known without preparing them.
  void read_prompts() {
    if (!recipe_.prompts || !is_present(recipe_.prompts->input)) return;
    const prepare::PrepareOptions& options = *recipe_.prompts;
    std::vector<Prompt> prompts = storage::read_prompts(options.input, options.read, options.turns);
    if (options.dedupe || options.near_duplicates) prompts = prepare::without_duplicates(prompts);
    if (options.near_duplicates || options.min_chars || options.max_chars ||
        !options.exclude.empty()) {
      check_.notes.emplace_back(
          "numbers of prompts are upper bounds: the filters of 'prepare' are not applied here");
    } else if (options.limit) {
      prompts = prepare::sample_prompts(prompts, *options.limit, options.seed);
    }
    PromptSides& sides = prepared_.emplace();
    for (const Prompt& prompt : prompts) sides.emplace(prompt.prompt_id, side_of(prompt.messages));
  }

  bool side_of(const Conversation& prompt) const {
    return recipe_.holdout > 0.0 && is_held_out(prompt, recipe_.seed, recipe_.holdout);
  }

  void check_responses(const RecipePolicy& policy) {
    if (policy.generation) {
      if (prepared_) answered_.emplace(policy.name, *prepared_);
      return;
    }
    if (!is_present(policy.responses)) return;
    std::vector<Response> rows = storage::read_responses(
        policy.responses, {.split = policy.split, .columns = policy.columns});
    std::set<std::string> names;
    for (const Response& row : rows) names.insert(row.policy);
    if (names.size() > 1 && !names.contains(policy.name)) {
      throw Error(ErrorKind::kInput, "{}: contains the policies {}, but none named '{}'",
                  policy.responses.string(), fmt::join(names, ", "), policy.name);
    }
    std::erase_if(rows, [&](const Response& row) {
      return (names.size() > 1 && row.policy != policy.name) ||
             (prepared_ && !prepared_->contains(row.prompt_id));
    });
    if (rows.empty()) {
      throw Error(ErrorKind::kInput, "{}: has no responses to the prompts of the recipe",
                  policy.responses.string());
    }
    PromptSides& sides = answered_[policy.name];
    for (const Response& row : rows) sides.emplace(row.prompt_id, side_of(row.prompt));
    measure_texts(policy, rows);
  }

  /// Texts and, from a sample, tokens.
  void measure_texts(const RecipePolicy& policy, const std::vector<Response>& rows) {
    check_.size.num_responses += std::ssize(rows);
    const std::size_t stride = std::max<std::size_t>(rows.size() / kSampledRows, 1);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const Response& row = rows[i];
      double prompt_bytes = 0.0;
      for (const Message& message : row.prompt)
        prompt_bytes += static_cast<double>(message.content.size());
      check_.size.text_bytes += prompt_bytes + static_cast<double>(row.response.size());
      response_bytes_ += static_cast<double>(row.response.size());
      if (prompts_.insert(row.prompt_id).second) prompt_bytes_ += prompt_bytes;
      if (!encoder_ || i % stride != 0) continue;
      const text::EncodedRow encoded =
          encoder_->encode_row(row.prompt, encoder_->prompt_ids(row.prompt), row.message());
      if (encoded.error && recipe_.reward_model.score.max_bad_rows == 0) {
        throw Error(ErrorKind::kInput, "{}: prompt {} of policy '{}' cannot be scored: {}",
                    policy.responses.string(), row.prompt_id, policy.name, *encoded.error);
      }
      sampled_tokens_ += static_cast<double>(encoded.tokens.ids.size());
      sampled_bytes_ += prompt_bytes + static_cast<double>(row.response.size());
      ++num_sampled_;
    }
  }

  /// Prompts that two policies answer, on one side of the split.
  std::int64_t num_common(const std::string& a, const std::string& b,
                          std::optional<bool> held_out) const {
    const PromptSides& first = answered_.at(a);
    const PromptSides& second = answered_.at(b);
    return std::count_if(first.begin(), first.end(), [&](const auto& prompt) {
      return (!held_out || prompt.second == *held_out) && second.contains(prompt.first);
    });
  }

  /// Reports the pair with the fewest common prompts if these are too few.
  void require_prompts(const std::string& section, const std::vector<std::string>& policies,
                       std::int64_t fewest, std::optional<bool> held_out) {
    std::optional<std::int64_t> worst;
    std::pair<std::string, std::string> pair;
    std::int64_t num_short = 0;
    for (std::size_t i = 0; i < policies.size(); ++i) {
      for (std::size_t j = i + 1; j < policies.size(); ++j) {
        if (!answered_.contains(policies[i]) || !answered_.contains(policies[j])) continue;
        const std::int64_t count = num_common(policies[i], policies[j], held_out);
        num_short += count < fewest ? 1 : 0;
        if (worst && count >= *worst) continue;
        worst = count;
        pair = {policies[i], policies[j]};
      }
    }
    if (!worst || *worst >= fewest) return;
    check_.problems.add({ErrorKind::kInput,
                         "{}: '{}' and '{}' have {} prompts in common{}, expected at least {} "
                         "(min_prompts){}",
                         section, pair.first, pair.second, *worst,
                         !held_out   ? ""
                         : *held_out ? " that are held out"
                                     : " that are not held out",
                         fewest,
                         num_short > 1 ? fmt::format("; so do {} more pairs", num_short - 1) : ""});
  }

  void count_prompts() {
    RunSize& size = check_.size;
    std::vector<std::string> all;
    for (const auto& [name, sides] : answered_) all.push_back(name);
    if (!all.empty()) {
      for (const auto& [id, is_held_out] : answered_.begin()->second) {
        const bool is_common =
            std::all_of(answered_.begin(), answered_.end(),
                        [&](const auto& policy) { return policy.second.contains(id); });
        if (!is_common) continue;
        ++size.num_common;
        ++(is_held_out ? size.num_held_out : size.num_fit);
      }
    }
    const bool splits = recipe_.holdout > 0.0;
    const std::optional<bool> fit = splits ? std::optional(false) : std::nullopt,
                              measured = splits ? std::optional(true) : std::nullopt;
    require_prompts("measure", all, recipe_.mismatch.min_prompts, measured);
    for (const RecipeCalibration& calibration : recipe_.calibrations) {
      require_prompts("calibrate " + calibration.set, calibration.options.policies,
                      calibration.options.min_prompts, fit);
    }
    const double tokens_per_byte = sampled_bytes_ > 0.0 ? sampled_tokens_ / sampled_bytes_ : 0.25;
    size.score_tokens = (prompt_bytes_ + response_bytes_) * tokens_per_byte;
    if (num_sampled_ > 0) size.response_tokens = sampled_tokens_ / num_sampled_;
  }

  void check_benchmark(const RecipeEvaluation& evaluation) {
    const evaluate::EvaluateOptions& options = evaluation.options;
    if (options.data.empty()) return;
    for (const fs::path& data : options.data) {
      if (!is_present(data)) return;
    }
    const evaluate::BenchmarkRows rows = evaluate::read_benchmark(
        options.data, {.benchmark = options.benchmark, .max_bad_rows = options.max_bad_rows},
        /*with_scores=*/false);
    double bytes = 0.0;
    for (const ScoredEvalItem& row : rows.rows) {
      for (const Message& message : row.item.prompt)
        bytes += static_cast<double>(message.content.size());
      for (const auto* texts : {&row.item.chosen, &row.item.rejected}) {
        for (const auto& text : *texts) bytes += static_cast<double>(text.size());
      }
    }
    const double tokens_per_byte = sampled_bytes_ > 0.0 ? sampled_tokens_ / sampled_bytes_ : 0.25;
    check_.size.benchmark_tokens += bytes * tokens_per_byte;
  }

  void estimate() {
    if (!config_) return;
    const engine::RewardModelOptions& options = recipe_.reward_model.score.model;
    check_.disk = estimate_disk(recipe_, check_.size, *config_);
    if (check_.disk->needed_bytes > check_.disk->available_bytes)
      add_shortage(ErrorKind::kIo, "disk space", recipe_.run_dir.string(), *check_.disk);
    if (options.device == engine::DeviceChoice::kCuda) {
      check_.notes.emplace_back("time and memory of a GPU are not estimated");
      return;
    }
    const bool bfloat16 = engine::computes_in_bfloat16(options.dtype, /*on_cuda=*/false);
    check_.memory = estimate_memory(recipe_, *config_, bfloat16);
    if (check_.memory->needed_bytes > check_.memory->available_bytes)
      add_shortage(ErrorKind::kResource, "memory", "this machine", *check_.memory);
    check_.time =
        estimate_time(recipe_, check_.size, *config_, measure_flops(*config_, bfloat16, threads_));
    const bool generates =
        std::any_of(recipe_.policies.begin(), recipe_.policies.end(),
                    [](const RecipePolicy& policy) { return policy.generation.has_value(); });
    if (generates)
      check_.notes.emplace_back("responses that the run generates are not in the estimates");
  }

  /// Of the kind that the run would end with.
  void add_shortage(ErrorKind kind, std::string_view what, const std::string& where,
                    const Resource& resource) {
    constexpr double kBytesPerUnit = 1024.0 * 1024.0 * 1024.0;
    check_.problems.add({kind, "{}: needs about {:.1f} GiB of {}, found {:.1f} GiB", where,
                         static_cast<double>(resource.needed_bytes) / kBytesPerUnit, what,
                         static_cast<double>(resource.available_bytes) / kBytesPerUnit});
  }

  const Recipe& recipe_;
  int threads_;
  RecipeCheck check_;
  std::optional<engine::DecoderConfig> config_;
  std::optional<text::ConversationEncoder> encoder_;
  std::optional<PromptSides> prepared_;
  std::map<std::string, PromptSides> answered_;  // [policy]
  std::set<std::string> prompts_;
  double prompt_bytes_ = 0.0;    // of distinct prompts
  double response_bytes_ = 0.0;  // of all responses
  double sampled_bytes_ = 0.0, sampled_tokens_ = 0.0, num_sampled_ = 0.0;
};

}  // namespace

RecipeCheck check_recipe(const Recipe& recipe, Problems problems, int threads) {
  return RecipeChecker(recipe, std::move(problems), threads).run();
}

}  // namespace charm::pipeline
