#include "charm/score/shard.h"

#include <algorithm>
#include <charconv>

#include "charm/base/companions.h"
#include "charm/base/error.h"
#include "charm/base/files.h"

namespace charm::score {
namespace {

constexpr int kMostShards = 100'000;

/// A number of digits alone, at the front of `text`, which is left with the rest.
std::optional<int> take_number(std::string_view& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

/// "K<between>N", and nothing else.
std::optional<Shard> find_shard(std::string_view text, std::string_view between) {
  const std::optional<int> index = take_number(text);
  if (!index || !text.starts_with(between)) return std::nullopt;
  text.remove_prefix(between.size());
  const std::optional<int> count = take_number(text);
  if (!count || !text.empty()) return std::nullopt;
  return Shard{.index = *index, .count = *count};
}

constexpr std::string_view kMark = ".shard-";

}  // namespace

std::string Shard::text() const { return fmt::format("{}/{}", index, count); }

Shard parse_shard(const std::string& text) {
  const std::optional<Shard> given = find_shard(text, "/");
  if (!given || given->count < 1 || given->count > kMostShards) {
    throw Error(ErrorKind::kUsage,
                "expected K/N, the number of this process and of all processes (1 to {}), as 0/4; "
                "found '{}'",
                kMostShards, text);
  }
  if (given->index > given->count) {
    throw Error(ErrorKind::kUsage,
                "expected K from 0 to {} (or from 1 to {}), as there are {} shards; found '{}'",
                given->count - 1, given->count, given->count, text);
  }
  return {.index = given->index % given->count, .count = given->count};
}

std::vector<int> shard_of_rows(const RowStore& store, int count) {
  std::vector<std::size_t> bytes_of_prompt(store.num_prompts(), 0);
  std::vector<std::size_t> prompts;  // in order of their first rows
  for (std::size_t r = 0; r < store.size(); ++r) {
    std::size_t& bytes = bytes_of_prompt[store.prompt_index(r)];
    if (bytes == 0) {
      prompts.push_back(store.prompt_index(r));
      bytes = 1 + conversation_json(store.prompt(r)).size();
    }
    bytes += store[r].response.size();
  }
  std::vector<int> shard_of_prompt(store.num_prompts(), 0);
  std::vector<std::size_t> load(static_cast<std::size_t>(count), 0);
  for (const std::size_t prompt : prompts) {
    const auto least = std::min_element(load.begin(), load.end());
    *least += bytes_of_prompt[prompt];
    shard_of_prompt[prompt] = static_cast<int>(least - load.begin());
  }
  std::vector<int> shards(store.size());
  for (std::size_t r = 0; r < store.size(); ++r) shards[r] = shard_of_prompt[store.prompt_index(r)];
  return shards;
}

std::vector<std::size_t> rows_of_shard(const RowStore& store, const std::optional<Shard>& shard) {
  if (!shard) return store.all_rows();
  const std::vector<int> shards = shard_of_rows(store, shard->count);
  std::vector<std::size_t> rows;
  for (std::size_t r = 0; r < shards.size(); ++r) {
    if (shards[r] == shard->index) rows.push_back(r);
  }
  return rows;
}

std::filesystem::path shard_path(const std::filesystem::path& output, const Shard& shard) {
  return output.parent_path() / fmt::format("{}{}{}-of-{}{}", output.stem().string(), kMark,
                                            shard.index, shard.count, output.extension().string());
}

std::optional<Shard> shard_of_path(const std::filesystem::path& output,
                                   const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  const std::string front = output.stem().string() + std::string(kMark);
  const std::string back = output.extension().string();
  if (name.size() < front.size() + back.size() || !name.starts_with(front) || !name.ends_with(back))
    return std::nullopt;
  const std::string_view middle(name.data() + front.size(),
                                name.size() - front.size() - back.size());
  return find_shard(middle, "-of-");
}

std::map<Shard, std::filesystem::path> shards_with_companions(const std::filesystem::path& output) {
  const fs::path folder = companion_path(output, ".lock").parent_path();
  std::map<Shard, fs::path> shards;
  std::error_code code;
  for (fs::directory_iterator entry(folder.empty() ? "." : folder, code), end;
       !code && entry != end; entry.increment(code)) {
    const fs::path name = entry->path().filename();
    if (name.extension() != ".lock" && name.extension() != ".journal") continue;
    if (const std::optional<Shard> shard = shard_of_path(output, name.stem()))
      shards.emplace(*shard, shard_path(output, *shard));
  }
  return shards;
}

}  // namespace charm::score
