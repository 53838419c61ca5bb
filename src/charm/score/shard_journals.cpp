#include "charm/score/shard_journals.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"

namespace charm::score {
namespace {

/// Other shards look whether a whole run is at work, for milliseconds; one may be joining, for
/// seconds.
constexpr std::chrono::seconds kLookWait{10};

void remove_journal(const FoundShard& found) {
  std::error_code code;
  fs::remove(storage::journal_path(found.target), code);  // another process may have
}

OutputLock lock_shard(const std::vector<fs::path>& files, const Shard& shard) {
  std::vector<fs::path> targets;
  for (const fs::path& file : files) targets.push_back(shard_path(file, shard));
  const auto take = [&](const std::vector<fs::path>& outputs, const OutputLockOptions& options,
                        std::string_view hint) {
    try {
      return OutputLock(outputs, options);
    } catch (const Error& error) {
      throw error.with_context(fmt::format("--shard {} ({})", shard.text(), hint));
    }
  };
  OutputLock lock = take(targets, {}, "each process has a number of its own");
  take(files, {.wait = kLookWait}, "no process without --shard may be at work");
  return lock;
}

}  // namespace

OutputLock lock_for_scoring(const std::vector<fs::path>& files, const std::optional<Shard>& shard) {
  if (shard) return lock_shard(files, *shard);
  std::vector<fs::path> targets = files;
  for (const fs::path& file : files) {
    for (const auto& [number, target] : shards_with_companions(file)) targets.push_back(target);
  }
  return OutputLock(targets);
}

void require_one_run(std::span<const RunOutput> outputs, const ShardRun& run, bool fresh) {
  for (const RunOutput& output : outputs) {
    for (const FoundShard& found : find_shards(output.file)) {
      if (!fresh) {
        require_same_run(found, run);
      } else if (found.run.id != run.id) {
        try {
          const OutputLock lock(found.target);
          remove_journal(found);
        } catch (const Error& error) {
          log::debug("{}", error.message());  // its process may just be starting over
        }
      }
    }
  }
}

void take_shard_results(std::span<const RunOutput> outputs, KnownResults& known) {
  for (const RunOutput& output : outputs) {
    for (const FoundShard& found : find_shards(output.file)) {
      const fs::path path = storage::journal_path(found.target);
      if (found.fingerprint == output.fingerprint) {
        fill_from_journal(path, storage::read_journal(found.target), output.rows, known);
      } else {
        log::warning("{}: of a run with other options or inputs; its scores are not used",
                     path.string());
      }
    }
  }
}

void remove_shards(std::span<const RunOutput> outputs) {
  for (const RunOutput& output : outputs) {
    for (const FoundShard& found : find_shards(output.file)) remove_journal(found);
  }
}

std::vector<ShardProgress> JoinedShards::unfinished() const {
  std::vector<ShardProgress> unfinished;
  for (const ShardProgress& shard : shards) {
    if (shard.num_scored < shard.num_rows) unfinished.push_back(shard);
  }
  return unfinished;
}

JoinedShards read_shards(const RowStore& store, std::span<const RunOutput> outputs,
                         const ShardRun& run) {
  JoinedShards joined{.known = unscored(store.size()), .shards = {}, .complete = {}};
  for (int k = 0; k < run.num_shards; ++k)
    joined.shards.push_back({.shard = {.index = k, .count = run.num_shards}});
  const std::vector<int> shard_of_row = shard_of_rows(store, run.num_shards);
  for (const RunOutput& output : outputs) {
    for (const FoundShard& found : find_shards(output.file)) {
      require_same_run(found, run);
      fill_from_journal(storage::journal_path(found.target), storage::read_journal(found.target),
                        output.rows, joined.known);
    }
    bool complete = true;
    for (const std::size_t row : output.rows) {
      ShardProgress& shard = joined.shards[static_cast<std::size_t>(shard_of_row[row])];
      ++shard.num_rows;
      shard.num_scored += joined.known.done[row] ? 1 : 0;
      complete = complete && joined.known.done[row];
    }
    joined.complete.push_back(complete);
  }
  return joined;
}

std::string shards_text(std::span<const ShardProgress> shards) {
  std::string text;
  for (const ShardProgress& shard : shards) {
    text += fmt::format("{}shard {} ({} of {} rows scored)", text.empty() ? "" : ", ",
                        shard.shard.text(), shard.num_scored, shard.num_rows);
  }
  return text;
}

void throw_missing(const fs::path& output, std::span<const ShardProgress> unfinished,
                   const ShardRun& run) {
  throw Error(ErrorKind::kInput, "{}: {} of {} shards {} not complete: {}; run{}: {}",
              output.string(), unfinished.size(), run.num_shards,
              unfinished.size() == 1 ? "is" : "are", shards_text(unfinished),
              unfinished.size() == 1 ? "" : " for each, here for the first one",
              run.command(unfinished.front().shard));
}

}  // namespace charm::score
