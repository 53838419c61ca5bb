#include "charm/pipeline/init_recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "charm/base/error.h"
#include "charm/base/strings.h"
#include "charm/engine/model_config.h"
#include "charm/measure/measure_stage.h"
#include "charm/pipeline/inspect.h"
#include "charm/records/response.h"
#include "charm/storage/ratings.h"
#include "charm/storage/record_reader.h"
#include "charm/text/conversation_encoder.h"

namespace charm::pipeline {
namespace {

/// A file of responses, or a folder of a data set.
struct PolicyFile {
  std::string name;
  fs::path path;
  std::int64_t num_prompts = 0;
};

bool ends_with_any(const std::string& name, std::initializer_list<std::string_view> ends) {
  return std::any_of(ends.begin(), ends.end(),
                     [&](std::string_view end) { return name.ends_with(end); });
}

/// The name without the extensions of responses; empty for other files.
std::string policy_name(const fs::path& path) {
  std::error_code error;
  std::string name = path.filename().string();
  if (fs::is_directory(path, error))
    return fs::exists(path / "state.json", error) || fs::exists(path / "dataset_dict.json", error)
               ? name
               : "";
  for (const std::string_view end : {".gz", ".jsonl", ".json", ".parquet"}) {
    if (name.ends_with(end)) name = name.substr(0, name.size() - end.size());
  }
  return name == path.filename().string() ? "" : name;
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator next(folder, error), end; !error && next != end;
       next.increment(error)) {
    const std::string name = next->path().filename().string();
    if (name.front() != '.' && name.front() != '_') entries.push_back(next->path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

/// Prompts that the file's rows answer; 0 if they are no responses, ratings and manifests often lie
/// beside them, with the reason in `refusal` if that is empty.
std::int64_t count_prompts(const fs::path& path, std::string& refusal) {
  std::set<std::string> prompts;
  try {
    for (const Response& row : storage::read_responses(path, {})) {
      if (!row.policy.empty()) prompts.insert(row.prompt_id);
    }
  } catch (const Error& error) {
    if (refusal.empty()) refusal = error.message();
    return 0;
  }
  return std::ssize(prompts);
}

std::vector<PolicyFile> find_policies(const fs::path& folder, std::string& refusal) {
  std::vector<PolicyFile> policies;
  for (const fs::path& path : entries_of(folder)) {
    const std::string name = policy_name(path);
    if (name.empty() || name.ends_with(".manifest")) continue;
    const std::int64_t num_prompts = count_prompts(path, refusal);
    if (num_prompts > 0) policies.push_back({name, path, num_prompts});
  }
  return policies;
}

/// Ratings of at least one of the policies.
std::optional<std::vector<ArenaRating>> read_as_ratings(const fs::path& path,
                                                        const std::vector<PolicyFile>& policies) {
  try {
    std::vector<ArenaRating> ratings = storage::read_ratings(path);
    const bool any = std::any_of(policies.begin(), policies.end(), [&](const PolicyFile& policy) {
      return std::any_of(ratings.begin(), ratings.end(), [&](const ArenaRating& rating) {
        return lower_ascii(rating.name) == lower_ascii(policy.name);
      });
    });
    if (any) return ratings;
  } catch (const Error&) {
    return std::nullopt;  // not ratings
  }
  return std::nullopt;
}

struct FoundRatings {
  fs::path path;
  std::vector<ArenaRating> ratings;
};

/// The folder itself, then those around it.
std::vector<fs::path> places_near(const fs::path& folder) {
  std::error_code error;
  const fs::path here = fs::absolute(folder, error).lexically_normal();
  const fs::path base = here.has_filename() ? here : here.parent_path();
  return {base, base.parent_path()};
}

std::optional<FoundRatings> find_ratings(const InitOptions& options,
                                         const std::vector<PolicyFile>& policies) {
  if (options.ratings)
    return FoundRatings{*options.ratings, storage::read_ratings(*options.ratings)};
  for (const fs::path& place : places_near(options.responses)) {
    for (const fs::path& path : entries_of(place)) {
      std::error_code error;
      if (!fs::is_regular_file(path, error) ||
          !ends_with_any(path.filename().string(), {".json", ".csv"}))
        continue;
      if (auto ratings = read_as_ratings(path, policies))
        return FoundRatings{path, std::move(*ratings)};
    }
  }
  return std::nullopt;
}

/// A folder whose config.json is that of a reward model.
bool is_reward_model(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder / "config.json", error)) return false;
  try {
    return engine::load_model_config(folder).head != engine::HeadKind::kNone;
  } catch (const Error&) {
    return false;
  }
}

/// In the places near the folder and one level below them, which overlap.
std::vector<fs::path> find_models(const fs::path& folder) {
  std::vector<fs::path> models;
  const auto add = [&](const fs::path& path) {
    if (std::find(models.begin(), models.end(), path) == models.end() && is_reward_model(path))
      models.push_back(path);
  };
  for (const fs::path& place : places_near(folder)) {
    for (const fs::path& path : entries_of(place)) {
      std::error_code error;
      if (!fs::is_directory(path, error)) continue;
      add(path);
      for (const fs::path& below : entries_of(path)) {
        if (fs::is_directory(below, error)) add(below);
      }
    }
  }
  return models;
}

const ArenaRating* rating_of(const std::vector<ArenaRating>& ratings, const std::string& policy) {
  const ArenaRating* folded = nullptr;
  for (const ArenaRating& rating : ratings) {
    if (rating.name == policy) return &rating;
    if (lower_ascii(rating.name) == lower_ascii(policy)) folded = &rating;
  }
  return folded;
}

std::string middle_policy(const std::vector<PolicyFile>& policies,
                          const std::vector<ArenaRating>& ratings) {
  std::vector<std::pair<double, std::string>> rated;
  for (const PolicyFile& policy : policies) {
    if (const ArenaRating* rating = rating_of(ratings, policy.name))
      rated.emplace_back(rating->rating_elo, policy.name);
  }
  std::sort(rated.begin(), rated.end());
  return rated.empty() ? policies.front().name : rated[rated.size() / 2].second;
}

/// A YAML scalar: quoted where plain text could be read as something else. JSON strings are YAML.
std::string yaml_text(const std::string& text) {
  const auto is_plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("._-/").find(c) != std::string_view::npos;
  };
  const bool starts_as_word =
      !text.empty() && (std::isalpha(static_cast<unsigned char>(text.front())) != 0 ||
                        text.front() == '/' || text.starts_with("../"));
  const std::string folded = lower_ascii(text);
  const bool is_word = folded == "true" || folded == "false" || folded == "null" ||
                       folded == "yes" || folded == "no" || folded == "on" || folded == "off";
  if (starts_as_word && !is_word && std::all_of(text.begin(), text.end(), is_plain)) return text;
  return nlohmann::json(text).dump();
}

class RecipeWriter {
 public:
  explicit RecipeWriter(const InitOptions& options) : options_(options) {}

  InitResult write() {
    std::error_code error;
    if (!fs::is_directory(options_.responses, error)) {
      throw Error(ErrorKind::kIo,
                  "{}: not a folder; expected one with a file of responses per policy",
                  options_.responses.string());
    }
    std::string refusal;
    policies_ = find_policies(options_.responses, refusal);
    if (policies_.size() < 2) {
      throw Error(ErrorKind::kInput,
                  "{}: holds responses of {} policies, expected at least 2: files NAME.jsonl or "
                  "NAME.parquet with prompt and response{}",
                  options_.responses.string(), policies_.size(),
                  refusal.empty() ? "" : " (" + refusal + ")");
    }
    result_.found.push_back(
        fmt::format("{} policies in {}", policies_.size(), options_.responses.string()));
    write_head();
    write_ratings();
    write_model();
    write_rest();
    return std::move(result_);
  }

 private:
  /// As the recipe names it: relative to its own folder where that is short.
  std::string path_text(const fs::path& path) const {
    std::error_code error;
    const fs::path from = fs::absolute(options_.output, error).parent_path();
    const fs::path to = fs::absolute(path, error).lexically_normal();
    const fs::path relative = to.lexically_relative(from.lexically_normal());
    const bool is_far = relative.empty() || relative.string().starts_with("../../..");
    return yaml_text((is_far ? to : relative).string());
  }

  void write_head() {
    const double share = holdout();
    result_.text = fmt::format(
        "# charm check {0} checks it, charm run {0} runs it; all keys: docs/recipes.md\n"
        "run_dir: {1}\n"
        "seed: 1\n"
        "holdout: {2}   # {3}\n"
        "policies:\n",
        options_.output.filename().string(), yaml_text(options_.run_dir.string()), share,
        share > 0.0 ? "share of the prompts on which results after training are measured"
                    : "too few prompts for two parts: results after training are in-sample");
    for (const PolicyFile& policy : policies_) {
      result_.text += fmt::format("  - {{name: {}, responses: {}}}\n", yaml_text(policy.name),
                                  path_text(policy.path));
    }
  }

  /// 0.2, or as much more as leaves both parts of few prompts with enough of them to be measured.
  double holdout() const {
    const auto fewest = std::min_element(
        policies_.begin(), policies_.end(),
        [](const auto& a, const auto& b) { return a.num_prompts < b.num_prompts; });
    // The split is drawn by prompt, so a part may have fewer than its share.
    const double wanted = 1.5 * static_cast<double>(measure::MeasureOptions().min_prompts);
    for (const double share : {0.2, 0.3, 0.4, 0.5}) {
      if (share * static_cast<double>(fewest->num_prompts) >= wanted) return share;
    }
    return 0.0;
  }

  void write_ratings() {
    const std::optional<FoundRatings> found = find_ratings(options_, policies_);
    if (!found) {
      result_.text += "ratings: ratings.json   # Arena ratings: {\"NAME\": 1273, ...}\n";
      result_.open.emplace_back("ratings: no file with ratings of these policies was found");
      reference_ = options_.reference.empty() ? policies_.front().name : options_.reference;
      return;
    }
    result_.found.push_back(fmt::format("ratings: {}", found->path.string()));
    result_.text += fmt::format("ratings:\n  file: {}\n", path_text(found->path));
    write_aliases(found->ratings);
    reference_ =
        options_.reference.empty() ? middle_policy(policies_, found->ratings) : options_.reference;
  }

  /// A line for each policy without a rating, with the nearest names to choose from.
  void write_aliases(const std::vector<ArenaRating>& ratings) {
    std::vector<std::string> names;
    for (const ArenaRating& rating : ratings) names.push_back(rating.name);
    bool any = false;
    for (const PolicyFile& policy : policies_) {
      if (rating_of(ratings, policy.name) != nullptr) continue;
      if (!any) result_.text += "  alias:   # policy: its name in the ratings\n";
      any = true;
      const std::vector<std::string> nearest = nearest_names(policy.name, names);
      std::string others;
      for (const std::string& name : nearest) others += (others.empty() ? "" : ", ") + name;
      result_.text += fmt::format("    {}: {}   # nearest: {}\n", yaml_text(policy.name),
                                  yaml_text("?"), others);
      result_.open.push_back(
          fmt::format("ratings.alias: '{}' has no rating; nearest names: {}", policy.name, others));
    }
  }

  void write_model() {
    std::vector<fs::path> models =
        options_.model ? std::vector{*options_.model} : find_models(options_.responses);
    if (models.empty()) {
      result_.text += "score:\n  model: my-rm   # Hugging Face folder of the reward model\n";
      result_.open.emplace_back("score.model: no reward model was found near the responses");
    } else {
      result_.found.push_back(fmt::format("reward model: {}", models.front().string()));
      result_.text += fmt::format("score:\n  model: {}\n", path_text(models.front()));
      read_size(models.front());
      for (std::size_t i = 1; i < models.size(); ++i)
        result_.text += fmt::format("  # or: {}\n", path_text(models[i]));
    }
    result_.text += fmt::format("  max_tokens: {}\n", max_tokens_);
  }

  void read_size(const fs::path& model) {
    try {
      const engine::DecoderConfig config = engine::load_model_config(model);
      num_weights_ = count_parameters(config);
      max_tokens_ = std::min(max_tokens_, config.max_positions);
    } catch (const Error&) {
      num_weights_.reset();  // a model that --model names and charm check refuses
    }
  }

  /// Pairs and training, with the reasons for what is chosen.
  std::string training_text() const {
    constexpr std::int64_t kBillion = 1'000'000'000;
    const bool is_small = num_weights_.value_or(kBillion) < kBillion;
    std::string text = "prefer:\n";
    text +=
        policies_.size() < 3
            ? "  pairs: all   # of two policies: one pair a prompt\n"
            : "  pairs: all   # every pair of policies: most of the close pairs, whose order the "
              "offsets change, are\n"
              "               # among them; best-worst: one pair a prompt, shorter training\n";
    text += "train:   # without this section the run ends with the preference pairs\n";
    text += is_small ? fmt::format(
                           "  learning_rate: 3e-5   # of {:.3g} M weights; from a billion "
                           "on: 2e-6\n",
                           static_cast<double>(*num_weights_) / 1e6)
                     : "  learning_rate: 2e-6   # below a billion weights: 3e-5\n";
    if (policies_.size() >= 3)
      text += "  shuffle: prompts   # a response is computed once for all its pairs\n";
    return text;
  }

  void write_rest() {
    result_.text += fmt::format(
        "calibrate:\n"
        "  reference: {}   # offset 0: choose a policy whose mean mismatch degree is near 0\n"
        "{}"
        "{}",
        yaml_text(reference_), training_text(),
        policies_.size() < 3 ? "# evaluate:   # arena needs three policies\n"
                               "#   - {benchmark: reward-bench, data: FILE}\n"
                             : "evaluate:\n"
                               "  - benchmark: arena\n"
                               "  # - {benchmark: reward-bench, data: FILE}\n");
  }

  const InitOptions& options_;
  InitResult result_;
  std::vector<PolicyFile> policies_;
  std::string reference_;
  std::optional<std::int64_t> num_weights_;  // of the reward model
  std::int64_t max_tokens_ = text::kDefaultMaxTokens;
};

}  // namespace

InitResult init_recipe(const InitOptions& options) { return RecipeWriter(options).write(); }

}  // namespace charm::pipeline
