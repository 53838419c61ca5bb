#include "charm/report/case_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

#include "charm/base/error.h"
#include "charm/base/hashing.h"
#include "charm/base/random.h"
#include "charm/records/conversation.h"
#include "charm/records/response.h"
#include "charm/records/score.h"
#include "charm/storage/manifest.h"
#include "charm/storage/read_options.h"
#include "charm/storage/record_reader.h"

namespace charm::report {
namespace {

constexpr std::size_t kIdLength = 10;

// Bad rows are tolerated: the stages that used the scores have already applied their limits.
const storage::ReadOptions kReading{.max_bad_rows = std::numeric_limits<std::int64_t>::max()};

std::string row_key(const std::string& policy, const std::string& prompt_id, std::int32_t sample) {
  return fmt::format("{}\x1f{}\x1f{}", policy, prompt_id, sample);
}

}  // namespace

std::vector<DrawnCase> draw_cases(std::span<const std::string_view> prompts, std::int64_t per_cell,
                                  std::uint64_t seed) {
  const auto num_cases = static_cast<std::size_t>(std::max<std::int64_t>(per_cell, 0));
  const std::size_t num_largest = std::min((num_cases + 1) / 2, prompts.size());
  std::vector<DrawnCase> drawn;
  for (std::size_t place = 0; place < num_largest; ++place)
    drawn.push_back({.place = place, .is_largest = true, .is_random = false});
  struct Ticket {
    std::uint64_t number;
    std::size_t place;
    auto operator<=>(const Ticket&) const = default;
  };
  std::vector<Ticket> tickets;
  std::set<std::string_view> seen;
  for (std::size_t place = 0; place < prompts.size(); ++place) {
    if (!seen.insert(prompts[place]).second) continue;
    tickets.push_back({RandomStream(seed, prompts[place])(), place});
  }
  const std::size_t num_random = std::min(num_cases / 2, tickets.size());
  std::ranges::partial_sort(tickets, tickets.begin() + static_cast<std::ptrdiff_t>(num_random));
  for (std::size_t i = 0; i < num_random; ++i) {
    const std::size_t place = tickets[i].place;
    if (place < num_largest) {
      drawn[place].is_random = true;
    } else {
      drawn.push_back({.place = place, .is_largest = false, .is_random = true});
    }
  }
  return drawn;
}

std::optional<fs::path> find_recorded(const fs::path& run_dir, const fs::path& recorded) {
  // "old/place/run/scores/rm/a.parquet" -> run_dir / "scores/rm/a.parquet".
  const fs::path relative = recorded.relative_path();
  const std::vector<fs::path> parts(relative.begin(), relative.end());
  std::error_code error;
  for (std::size_t first = 0; first + 1 < parts.size(); ++first) {
    fs::path place = run_dir;
    for (std::size_t part = first; part < parts.size(); ++part) place /= parts[part];
    if (fs::exists(place, error)) return place;
  }
  for (const fs::path& place : {recorded, run_dir / recorded.filename()}) {
    if (fs::exists(place, error)) return place;
  }
  return std::nullopt;
}

CaseBuilder::CaseBuilder(fs::path run_dir, std::int64_t per_cell, std::uint64_t seed)
    : run_dir_(std::move(run_dir)) {
  set_.per_cell = per_cell;
  set_.seed = seed;
}

void CaseBuilder::begin_group(std::string key, std::string title, std::string order) {
  set_.groups.push_back({std::move(key), std::move(title), std::move(order), {}});
}

void CaseBuilder::note(std::string text) {
  std::vector<std::string>& notes = set_.groups.back().notes;
  if (std::ranges::find(notes, text) == notes.end()) notes.push_back(std::move(text));
}

void CaseBuilder::add_cell(CaseCell cell) {
  cell.group = set_.groups.size() - 1;
  set_.cells.push_back(std::move(cell));
}

std::pair<std::size_t, bool> CaseBuilder::add_case(const std::string& key, Case one) {
  const std::string whole = set_.groups.back().key + "\x1f" + key;
  const auto [place, is_new] = index_of_key_.try_emplace(whole, set_.cases.size());
  if (!is_new) return {place->second, false};
  one.id = sha256_hex(whole).substr(0, kIdLength);
  const std::size_t num_equal = ++num_with_id_[one.id];
  if (num_equal > 1) one.id += fmt::format("-{}", num_equal);
  set_.cases.push_back(std::move(one));
  return {place->second, true};
}

std::vector<fs::path> CaseBuilder::find_inputs(const std::vector<results::InputFile>& recorded) {
  std::vector<fs::path> found;
  for (const results::InputFile& input : recorded) {
    const std::string name = input.path.filename().string();
    const bool has_texts =
        !name.ends_with(".json") && !name.ends_with(".csv");  // ratings have none
    const auto place = find_recorded(run_dir_, input.path);
    if (place) found.push_back(*place);
    if (!has_texts) continue;
    if (!place) {
      note(
          fmt::format("{} was not found, so its texts are missing here; run charm report where it "
                      "is.",
                      input.path.string()));
    } else if (!input.sha256.empty() && input.sha256 != sha256_of(*place)) {
      note(
          fmt::format("{} has changed since the numbers were computed: its cases may not fit them; "
                      "compute them again.",
                      place->string()));
    }
  }
  return found;
}

const std::string& CaseBuilder::sha256_of(const fs::path& path) {
  const auto [hash, is_new] = sha256_of_.try_emplace(path);
  if (is_new) hash->second = storage::sha256_of_path(path);
  return hash->second;
}

const ScoreFile& CaseBuilder::scores_of(const fs::path& path) {
  const auto place = score_files_.find(path);
  if (place != score_files_.end()) return place->second;
  return score_files_.emplace(path, storage::read_score_file(path, kReading)).first->second;
}

PolicyScoreFiles CaseBuilder::read_scores(const std::vector<fs::path>& paths) {
  PolicyScoreFiles scores;
  for (const fs::path& path : paths) {
    ScoreFile file = scores_of(path);
    std::erase_if(file.rows, [&](const Score& row) {
      const auto place = scores.file_of.find(row.policy);
      return place != scores.file_of.end() && place->second != path;
    });
    for (const Score& row : file.rows) scores.file_of.emplace(row.policy, path);
    if (!file.rows.empty()) scores.files.push_back(std::move(file));
  }
  return scores;
}

std::set<std::string> CaseBuilder::held_out_prompts(const std::vector<fs::path>& paths,
                                                    std::uint64_t seed, double share) const {
  std::set<std::string> ids;
  for (const fs::path& path : paths) {
    storage::for_each_scored_response(path, kReading, [&](ScoredResponse&& row) {
      if (is_held_out(row.response.prompt, seed, share))
        ids.insert(std::move(row.response.prompt_id));
    });
  }
  return ids;
}

void CaseBuilder::want_texts(std::size_t index, const PolicyScoreFiles& scores) {
  const Case& one = set_.cases[index];
  for (const bool is_a : {true, false}) {
    const std::string& policy = (is_a ? one.a : one.b).name;
    want_text(index, is_a, scores.file_of.at(policy), policy, one.prompt_id, one.sample);
  }
}

void CaseBuilder::want_text(std::size_t index, bool is_a, const fs::path& file,
                            const std::string& policy, const std::string& prompt_id,
                            std::int32_t sample) {
  wanted_[file][row_key(policy, prompt_id, sample)].push_back({.index = index, .is_a = is_a});
  group_of_file_.try_emplace(file, set_.groups.size() - 1);
}

void CaseBuilder::read_texts(const fs::path& file,
                             const std::unordered_map<std::string, std::vector<Wanted>>& wanted) {
  storage::for_each_scored_response(file, kReading, [&](ScoredResponse&& row) {
    Response& response = row.response;
    const auto place = wanted.find(row_key(response.policy, response.prompt_id, response.sample));
    if (place == wanted.end()) return;
    const std::size_t prompt = add_text(prompt_text(response.prompt), /*is_response=*/false);
    const std::size_t text = add_text(std::move(response.response), /*is_response=*/true);
    for (const Wanted& one : place->second) {
      Case& owner = set_.cases[one.index];
      owner.prompt = prompt;
      (one.is_a ? owner.a : owner.b).text = text;
    }
  });
}

CaseSet CaseBuilder::finish() {
  for (const auto& [file, wanted] : wanted_) {
    try {
      read_texts(file, wanted);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput && error.kind() != ErrorKind::kIo) throw;
      set_.groups[group_of_file_.at(file)].notes.push_back(
          fmt::format("The texts of {} cannot be shown: {}.", file.string(), error.message()));
    }
  }
  return std::move(set_);
}

}  // namespace charm::report
