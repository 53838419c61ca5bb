#include "charm/score/shard_run.h"

#include <algorithm>
#include <array>
#include <set>
#include <type_traits>
#include <utility>
#include <variant>

#include "charm/base/companions.h"
#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/hashing.h"
#include "charm/base/option_table.h"
#include "charm/base/strings.h"

namespace charm::score {
namespace {

using nlohmann::ordered_json;
using Words = std::vector<std::string>;

constexpr std::string_view kJournal = ".journal";

/// A value as the command line takes it.
Words words_of(const OptionValue& value) {
  return std::visit(
      [](const auto& held) -> Words {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, std::monostate>) {
          return {};
        } else if constexpr (std::is_same_v<T, Words>) {
          return held;
        } else if constexpr (std::is_same_v<T, std::vector<std::int64_t>>) {
          Words words;
          for (const std::int64_t number : held) words.push_back(fmt::format("{}", number));
          return words;
        } else if constexpr (std::is_same_v<T, std::map<std::string, std::string>>) {
          Words words;
          for (const auto& [name, text] : held) words.push_back(fmt::format("{}={}", name, text));
          return words;
        } else {
          return {fmt::format("{}", held)};
        }
      },
      value);
}

/// Whether the option tells which part of the work a process does, not what the work is.
bool is_of_process(const Option& option) {
  return option.name == "shard" || option.name == "merge";
}

/// The options that differ from their defaults.
std::map<std::string, Words> given_options(const ScoreStageOptions& options) {
  ScoreStageOptions given = options, defaults;
  OptionTable given_table, default_table;
  describe_command(given_table, given);
  describe_command(default_table, defaults);
  std::map<std::string, Words> words;
  for (const Option& option : given_table.options()) {
    const OptionValue value = option.value();
    if (!is_of_process(option) && value != default_table.find(option.name)->value())
      words[option.name] = words_of(value);
  }
  return words;
}

/// The run that the header of a shard's journal tells of; empty for any other header.
std::optional<ShardRun> parse_run(const storage::JournalHeader& header, const Shard& shard) {
  const ordered_json object = ordered_json::parse(header.note, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return std::nullopt;
  try {
    return ShardRun{.id = object.at("run").get<std::string>(),
                    .num_shards = shard.count,
                    .owner = header.owner,
                    .options = object.at("options").get<std::map<std::string, Words>>(),
                    .manifest = object.at("manifest")};
  } catch (const ordered_json::exception&) {
    return std::nullopt;
  }
}

std::vector<std::string> input_hashes(const ordered_json& manifest) {
  std::vector<std::string> hashes;
  for (const ordered_json& input : manifest.at("inputs")) hashes.push_back(input.at("sha256"));
  return hashes;
}

/// What tells two runs apart, for a message.
std::string run_difference(const ShardRun& there, const ShardRun& here) {
  for (const char* name : {"version", "options", "seed"}) {
    if (there.manifest.at(name) == here.manifest.at(name)) continue;
    if (!there.manifest.at(name).is_object())
      return fmt::format("{} {}, here {}", name, there.manifest.at(name).dump(),
                         here.manifest.at(name).dump());
    const ordered_json &theirs = there.manifest.at(name), &ours = here.manifest.at(name);
    for (const auto& [option, value] : ours.items()) {
      const ordered_json other = theirs.value(option, ordered_json());
      if (other != value)
        return fmt::format("--{} {}, here {}", option, other.dump(), value.dump());
    }
    return "other options";
  }
  if (input_hashes(there.manifest) != input_hashes(here.manifest))
    return "other input files, or the same in another order";
  return "other inputs";
}

bool is_same_path(const std::string& a, const std::string& b) {
  const auto canonical = [](const std::string& path) {
    std::error_code code;
    return fs::weakly_canonical(fs::absolute(path), code);  // files that are gone, too
  };
  return a == b || canonical(a) == canonical(b);
}

bool is_same_value(const Option& option, const Words& a, const Words& b) {
  return option.is_path ? std::ranges::equal(a, b, is_same_path) : a == b;
}

Words recorded_words(const ShardRun& run, const std::string& name) {
  const auto found = run.options.find(name);
  return found == run.options.end() ? Words() : found->second;
}

}  // namespace

storage::Provenance ShardRun::provenance() const {
  storage::Provenance facts;
  for (const auto& [name, value] : manifest.at("provenance").items())
    facts.emplace_back(name, value.get<std::string>());
  return facts;
}

std::string ShardRun::command(const Shard& shard) const {
  std::string text = "charm score";
  for (const auto& [name, words] : options) {
    text += " --" + name;
    if (words == Words{"true"}) {
      text += "=true";  // a flag
      continue;
    }
    for (const std::string& word : words) text += " " + shell_word(word);
  }
  return text + " --shard " + shard.text();
}

std::string run_id(int num_shards, std::span<const std::string> fingerprints) {
  return sha256_hex(fmt::format("{} shards\n{}\n", num_shards, fmt::join(fingerprints, "\n")));
}

ShardRun make_shard_run(const ScoreStageOptions& options, std::span<const std::string> fingerprints,
                        std::string owner, ordered_json manifest) {
  const int num_shards = options.shard.value().count;
  return {.id = run_id(num_shards, fingerprints),
          .num_shards = num_shards,
          .owner = std::move(owner),
          .options = given_options(options),
          .manifest = std::move(manifest)};
}

std::string shard_run_note(const ShardRun& run) {
  // The order of the manifest's members counts.
  const ordered_json note = {{"run", run.id}, {"options", run.options}, {"manifest", run.manifest}};
  return note.dump(-1, ' ', /*ensure_ascii=*/false, ordered_json::error_handler_t::replace);
}

ScoreStageOptions options_of_shards(const ScoreStageOptions& given, const ShardRun& run) {
  static const std::set<std::string> kFree = {"output", "check", "tolerance", "max-bad-rows",
                                              "budget-tokens"};
  ScoreStageOptions options;
  OptionTable table;
  describe_command(table, options);
  for (const auto& [name, words] : given_options(given)) {
    if (kFree.contains(name)) continue;
    const Words recorded = recorded_words(run, name);
    if (is_same_value(*table.find(name), words, recorded)) continue;
    throw Error(ErrorKind::kInput,
                "--{} is {}, but the shards were scored with {}; give --merge the options of the "
                "shards, or --output alone",
                name, fmt::join(words, " "),
                recorded.empty() ? "its default" : fmt::format("{}", fmt::join(recorded, " ")));
  }
  for (const auto& [name, words] : run.options) {
    if (const Option* option = table.find(name)) option->assign(words);
  }
  options.output = given.output;
  options.max_bad_rows = std::max(options.max_bad_rows, given.max_bad_rows);
  if (!given.check.empty()) options.check = given.check;
  if (given.check_tolerance) options.check_tolerance = given.check_tolerance;
  options.merge = given.merge;
  return options;
}

bool has_inputs(const ShardRun& run, const ScoreStageOptions& given) {
  ScoreStageOptions unset;
  OptionTable table;
  describe_command(table, unset);
  const std::map<std::string, Words> words = given_options(given);
  return std::ranges::all_of(std::array{"responses", "votes"}, [&](const char* name) {
    const auto found = words.find(name);
    return found == words.end() ||
           is_same_value(*table.find(name), found->second, recorded_words(run, name));
  });
}

std::vector<FoundShard> find_shards(const fs::path& output) {
  std::vector<FoundShard> found;
  for (const auto& [shard, target] : shards_with_companions(output)) {
    const std::optional<storage::JournalHeader> header = storage::read_journal_header(target);
    std::optional<ShardRun> run = header ? parse_run(*header, shard) : std::nullopt;
    if (run) found.push_back({shard, target, header->fingerprint, std::move(*run)});
  }
  return found;
}

std::vector<ShardRun> find_runs(const fs::path& output) {
  std::vector<ShardRun> runs;
  const auto add = [&](const fs::path& file) {
    for (FoundShard& found : find_shards(file)) {
      const auto is_same = [&](const ShardRun& run) { return run.id == found.run.id; };
      if (std::ranges::none_of(runs, is_same)) runs.push_back(std::move(found.run));
    }
  };
  if (!fs::is_directory(output)) {
    add(output);
    return runs;
  }
  std::set<fs::path> files;  // the outputs that shards are named after
  std::error_code code;
  for (fs::directory_iterator entry(companion_folder(output), code), end; !code && entry != end;
       entry.increment(code)) {
    const std::string name = entry->path().filename().string();
    const std::size_t mark = name.rfind(".shard-");
    if (mark != std::string::npos && name.ends_with(kJournal))
      files.insert(output / (name.substr(0, mark) + ".parquet"));
  }
  for (const fs::path& file : files) add(file);
  return runs;
}

void require_same_run(const FoundShard& found, const ShardRun& run) {
  constexpr const char* kNext =
      "finish that run first, choose another --output, or start over with --fresh";
  const std::string there =
      fmt::format("{}: shard {} is there", found.target.string(), found.shard.text());
  if (found.run.num_shards != run.num_shards) {
    throw Error(ErrorKind::kInput,
                "{}, of a run of {} shards, but this one has {}; go on with {} shards, finish in "
                "one process without --shard, or start over with --fresh",
                there, found.run.num_shards, run.num_shards, found.run.num_shards);
  }
  if (found.run.owner != run.owner) {
    throw Error(ErrorKind::kInput, "{}, scored with another model ({}; here {}); {}", there,
                found.run.owner, run.owner, kNext);
  }
  if (found.run.id != run.id) {
    throw Error(ErrorKind::kInput, "{}, scored with other options or inputs ({}); {}", there,
                run_difference(found.run, run), kNext);
  }
}

}  // namespace charm::score
