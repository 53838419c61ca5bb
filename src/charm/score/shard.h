#pragma once

#include <compare>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "charm/score/row_store.h"

namespace charm::score {

/// The part of a run's prompts that one of `count` processes scores.
struct Shard {
  int index = 0;  ///< [0, count)
  int count = 1;

  /// "0/4".
  std::string text() const;
  auto operator<=>(const Shard&) const = default;
};

/// "K/N", K counted from 0 as ranks are, or from 1: N/N is 0/N. Throws kUsage for anything else.
Shard parse_shard(const std::string& text);

/// By row, the shard that scores it: whole prompts, which shards take in turn so that their texts
/// have about equal sizes. A function of the rows and `count` alone.
std::vector<int> shard_of_rows(const RowStore& store, int count);

/// The rows of a shard, in order; without one all rows.
std::vector<std::size_t> rows_of_shard(const RowStore& store, const std::optional<Shard>& shard);

/// `out/helper.shard-0-of-4.parquet` of `out/helper.parquet`: never written itself; its companions
/// (base/companions.h) are the shard's lock and journal.
std::filesystem::path shard_path(const std::filesystem::path& output, const Shard& shard);

/// The shard that `shard_path` named so; empty where `path` is not of `output`.
std::optional<Shard> shard_of_path(const std::filesystem::path& output,
                                   const std::filesystem::path& path);

/// The shards of an output that have a journal or a lock: number, then `shard_path`. In order.
std::map<Shard, std::filesystem::path> shards_with_companions(const std::filesystem::path& output);

}  // namespace charm::score
