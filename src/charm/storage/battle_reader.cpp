#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/parse_json.h"
#include "charm/base/strings.h"
#include "charm/storage/ratings.h"
#include "charm/storage/vote_rows.h"

namespace charm::storage {
namespace {

using Json = nlohmann::ordered_json;

// The assistant's turns, one line break between them.
std::string text_of_side(const Json& row, const std::string& side) {
  const std::string response = response_column(row, side);
  if (!response.empty()) return fmt::format("{}", fmt::join(response_turns(row, response), "\n"));
  const auto column = row.find("conversation_" + side);
  const std::optional<Json> turns = column == row.end() ? std::nullopt : json_list(*column);
  if (!turns) {
    throw Error(ErrorKind::kInput,
                "styles need conv_metadata, response_{0} or conversation_{0}, found none of them",
                side);
  }
  std::vector<std::string> texts;
  for (const Json& turn : *turns) {
    if (!turn.is_object() || turn.value("role", Json()) != "assistant") continue;
    texts.push_back(turn.contains("content") ? content_text(turn["content"]) : "");
  }
  return fmt::format("{}", fmt::join(texts, "\n"));
}

Battle battle_of(const Json& row, bool with_styles) {
  Battle battle;
  battle.model_a = model_name_of(row, "model_a");
  battle.model_b = model_name_of(row, "model_b");
  check_distinct_models(battle.model_a, battle.model_b);
  battle.outcome = outcome_of(row);
  if (!with_styles) return battle;
  const auto metadata = row.find("conv_metadata");
  if (metadata != row.end() && metadata->is_object()) {
    battle.style_a = metadata_counts(*metadata, "a");
    battle.style_b = metadata_counts(*metadata, "b");
  } else {
    battle.text_a = text_of_side(row, "a");
    battle.text_b = text_of_side(row, "b");
  }
  return battle;
}

// Outcome for A and number of battles of a verdict: arena-hard-auto's show_result.py, where a
// decided verdict (A>>B) counts three times.
std::pair<double, int> verdict_of(const Json& score) {
  constexpr int kDecided = 3;
  const std::string verdict = score.is_string() ? score.get<std::string>() : "";
  if (verdict == "A>>B" || verdict == "B<<A") return {1.0, kDecided};
  if (verdict == "A>B" || verdict == "B<A") return {1.0, 1};
  if (verdict == "A=B" || verdict == "B=A") return {0.5, 1};
  if (verdict == "A<B" || verdict == "B>A") return {0.0, 1};
  if (verdict == "A<<B" || verdict == "B>>A") return {0.0, kDecided};
  throw Error(ErrorKind::kInput, "the verdict is {}, expected A>>B, A>B, A=B, B>A or B>>A",
              score.dump());
}

// Battles of arena-hard's judgment of a response against the baseline's: in the first game the
// baseline is A, in the second B. Empty if a game has no verdict.
std::vector<Battle> verdicts_of(const Json& row, const BattleOptions& options) {
  if (options.with_styles) {
    throw Error(ErrorKind::kInput, "a judgment of arena-hard has no texts to count styles of");
  }
  const std::string model = model_name_of(row, "model");
  if (!is_present(row, "baseline") && options.baseline.empty()) {
    throw Error(ErrorKind::kInput,
                "the judgment names no baseline; name it with --baseline (arena-hard v0.1: "
                "gpt-4-0314)");
  }
  const std::string baseline =
      is_present(row, "baseline") ? model_name_of(row, "baseline") : options.baseline;
  const Json& games = row["games"];
  if (!games.is_array() || games.size() != 2) {
    throw Error(ErrorKind::kInput, "'games' has {} entries, expected two verdicts", games.size());
  }
  std::vector<Battle> battles;
  bool is_judged = true;
  for (std::size_t game = 0; game < games.size(); ++game) {
    const Json score = games[game].is_object() ? games[game].value("score", Json()) : Json();
    if (score.is_null()) {
      is_judged = false;
      continue;
    }
    const auto [outcome, count] = verdict_of(score);
    Battle battle;
    battle.model_a = game == 0 ? baseline : model;
    battle.model_b = game == 0 ? model : baseline;
    battle.outcome = outcome;
    check_distinct_models(battle.model_a, battle.model_b);
    battles.insert(battles.end(), static_cast<std::size_t>(count), battle);
  }
  if (!is_judged) battles.clear();
  return battles;
}

// The value at a path of names joined by dots, which names may have themselves.
const Json* find_path(const Json& object, std::string_view path) {
  if (path.empty()) return &object;
  if (!object.is_object()) return nullptr;
  for (const auto& [name, value] : object.items()) {
    if (!path.starts_with(name)) continue;
    const std::string_view rest = path.substr(name.size());
    if (!rest.empty() && rest.front() != '.') continue;
    const Json* found = find_path(value, rest.empty() ? rest : rest.substr(1));
    if (found != nullptr && !found->is_null()) return found;
  }
  return nullptr;
}

// Columns whose members are tags: arena-human-preference-140k's and the expert set's.
constexpr std::array kTagColumns = {"category_tag", "occupational_tags"};

struct CategoryTag {
  std::string path;
  std::optional<std::string> value{};  // of "PATH=VALUE"
};

CategoryTag parse_tag(const std::string& word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string::npos) return {.path = word};
  return {.path = word.substr(0, equals), .value = word.substr(equals + 1)};
}

const Json* find_tag(const Json& row, const CategoryTag& tag) {
  if (const Json* found = find_path(row, tag.path)) return found;
  for (const char* column : kTagColumns) {
    const auto tags = row.find(column);
    if (tags == row.end()) continue;
    if (const Json* found = find_path(*tags, tag.path)) return found;
  }
  return nullptr;
}

bool has_tag(const Json& found, const CategoryTag& tag) {
  if (!tag.value) return tag_flag(found, tag.path);
  if (found.is_array()) return std::find(found.begin(), found.end(), *tag.value) != found.end();
  return (found.is_string() ? found.get<std::string>() : found.dump()) == *tag.value;
}

// Paths of the flags in a row, for messages.
void add_flags(const Json& object, const std::string& prefix, std::vector<std::string>& paths) {
  for (const auto& [name, value] : object.items()) {
    if (value.is_boolean()) paths.push_back(prefix + name);
    if (value.is_object()) add_flags(value, prefix + name + ".", paths);
  }
}

// Whether the row counts, as in FastChat's published analysis of the Arena's votes: anonymous votes
// alone (elo_analysis.py), without the duplicates of frequent prompts (the notebook of
// lmsys.org/blog/2024-05-17-category-hard: rows whose dedup_tag has `sampled`).
bool is_kept(const Json& row, const BattleOptions& options, BattleCounts& counts) {
  if (!options.keep_named && is_present(row, "anony") && !tag_flag(row["anony"], "anony")) {
    ++counts.num_named;
    return false;
  }
  if (!options.keep_duplicates && is_present(row, "dedup_tag")) {
    const Json& tag = row["dedup_tag"];
    const Json sampled = tag.is_object() ? tag.value("sampled", Json(false)) : tag;
    if (sampled.is_null() || !tag_flag(sampled, "dedup_tag.sampled")) {
      ++counts.num_duplicates;
      return false;
    }
  }
  return true;
}

std::vector<std::string> columns_of(const BattleOptions& options, const CategoryTag& tag) {
  std::vector<std::string> columns = {"model_a",        "model_b",    "winner",   "is_tie",
                                      "anony",          "dedup_tag",  "model",    "winner_model_a",
                                      "winner_model_b", "winner_tie", "baseline", "games"};
  if (options.with_styles) {
    for (const char* more : {"conv_metadata", "prompt", "response_a", "response_b", "response_1",
                             "response_2", "conversation_a", "conversation_b"}) {
      columns.emplace_back(more);
    }
  }
  if (tag.path.empty()) return columns;
  for (const char* column : kTagColumns) columns.emplace_back(column);
  for (std::size_t dot = tag.path.find('.'); dot != std::string::npos;
       dot = tag.path.find('.', dot + 1)) {
    columns.push_back(tag.path.substr(0, dot));
  }
  columns.push_back(tag.path);
  std::sort(columns.begin(), columns.end());
  columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
  return columns;
}

[[noreturn]] void throw_no_tag(const std::filesystem::path& path, const CategoryTag& tag,
                               const Json& first_row) {
  std::vector<std::string> flags;
  add_flags(first_row, "", flags);
  throw Error(ErrorKind::kUsage, "{}: no row has the tag '{}' (--category-tag){}", path.string(),
              tag.path, flags.empty() ? "" : fmt::format("; tags are: {}", fmt::join(flags, ", ")));
}

}  // namespace

BattleCounts for_each_battle(const std::filesystem::path& path, const ReadOptions& read,
                             const BattleOptions& options,
                             const std::function<void(Battle&&)>& body) {
  const CategoryTag tag = parse_tag(options.category_tag);
  RowReader rows(path, read, columns_of(options, tag));
  BattleCounts counts;
  bool any_tag = tag.path.empty();
  Json first_row;
  while (const std::optional<Json> vote = next_vote(rows)) {
    const Json& row = *vote;
    std::vector<Battle> battles;
    std::string problem;
    try {
      if (!tag.path.empty()) {
        if (first_row.is_null()) first_row = row;
        const Json* found = find_tag(row, tag);
        any_tag |= found != nullptr;
        if (found == nullptr || !has_tag(*found, tag)) {
          ++counts.num_rows;
          ++counts.num_untagged;
          continue;
        }
      }
      if (!is_kept(row, options, counts)) {
        ++counts.num_rows;
        continue;
      }
      if (is_present(row, "games") && !is_present(row, "model_a")) {
        battles = verdicts_of(row, options);
        counts.num_unjudged += battles.empty() ? 1 : 0;
        counts.num_unnamed += is_present(row, "baseline") ? 0 : 1;
      } else {
        battles.push_back(battle_of(row, options.with_styles));
      }
      ++counts.num_rows;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) throw;
      problem = error.message();
    }
    if (!problem.empty()) {
      rows.reject(problem);
      continue;
    }
    counts.num_battles += static_cast<std::int64_t>(battles.size());
    for (Battle& battle : battles) body(std::move(battle));
  }
  rows.finish();
  if (!any_tag) throw_no_tag(path, tag, first_row);
  return counts;
}

}  // namespace charm::storage
