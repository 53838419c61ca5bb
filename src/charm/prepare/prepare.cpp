#include "charm/prepare/prepare.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <unordered_set>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/output_lock.h"
#include "charm/base/random.h"
#include "charm/prepare/text_overlap.h"
#include "charm/records/response.h"
#include "charm/storage/manifest.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"

namespace charm::prepare {

void check_settings(const PrepareOptions& options) {
  if (options.min_chars && options.max_chars && *options.min_chars > *options.max_chars) {
    throw Error(ErrorKind::kUsage, "--min-chars {} is more than --max-chars {}", *options.min_chars,
                *options.max_chars);
  }
}

namespace {

void check_options(const PrepareOptions& options) {
  check_settings(options);
  storage::require_known_extension(options.output);
  require_writable(options.output);
  require_distinct(options.output, options.input);
  require_distinct(options.output, options.exclude);
}

storage::Manifest manifest_of(const PrepareOptions& options, const PrepareResult& result) {
  storage::Manifest manifest("prepare");
  manifest.options(options, describe_command);
  manifest.input(options.input, result.num_read).output(options.output, result.num_written);
  for (const fs::path& file : options.exclude) manifest.input(file);
  manifest.extra("num_duplicates", result.num_duplicates)
      .extra("num_near_duplicates", result.num_near_duplicates)
      .extra("num_too_short", result.num_too_short)
      .extra("num_too_long", result.num_too_long)
      .extra("num_excluded", result.num_excluded);
  return manifest;
}

/// Code points of all turns except the system's.
std::int64_t num_chars(const Conversation& prompt) {
  std::int64_t count = 0;
  for (const Message& message : prompt) {
    if (message.role == "system") continue;
    count += std::count_if(message.content.begin(), message.content.end(),
                           [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
  }
  return count;
}

void drop_by_length(std::vector<Prompt>& prompts, const PrepareOptions& options,
                    PrepareResult& result) {
  std::erase_if(prompts, [&](const Prompt& prompt) {
    const std::int64_t length = num_chars(prompt.messages);
    const bool is_short = options.min_chars && length < *options.min_chars,
               is_long = options.max_chars && length > *options.max_chars;
    result.num_too_short += is_short ? 1 : 0;
    result.num_too_long += is_long ? 1 : 0;
    return is_short || is_long;
  });
}

/// Drops prompts that overlap with benchmarks and writes the list of them.
void drop_excluded(std::vector<Prompt>& prompts, const PrepareOptions& options,
                   PrepareResult& result) {
  std::vector<Prompt> benchmark;
  std::vector<std::string> files;
  for (const fs::path& file : options.exclude) {
    storage::ReadOptions read;
    read.max_bad_rows = options.read.max_bad_rows;
    for (Prompt& prompt : storage::read_prompts(file, read)) {
      benchmark.push_back(std::move(prompt));
      files.push_back(file.string());
    }
  }
  const BenchmarkIndex index(benchmark);
  std::string list;
  std::erase_if(prompts, [&](const Prompt& prompt) {
    const std::optional<Overlap> found = index.find(prompt.messages, options.exclude_overlap);
    if (!found) return false;
    ++result.num_excluded;
    const nlohmann::ordered_json line = {
        {"prompt_id", prompt.prompt_id},
        {"prompt", nlohmann::ordered_json::parse(conversation_json(prompt.messages))},
        {"overlap", found->share},
        {"benchmark", files[found->benchmark]},
        {"benchmark_prompt",
         nlohmann::ordered_json::parse(conversation_json(benchmark[found->benchmark].messages))}};
    list += line.dump() + "\n";
    return true;
  });
  write_file(excluded_path(options.output), list);
}

void drop_near_duplicates(std::vector<Prompt>& prompts, double threshold, PrepareResult& result) {
  const std::vector<bool> duplicate = find_near_duplicates(prompts, threshold);
  std::size_t i = 0;
  std::erase_if(prompts, [&](const Prompt&) { return duplicate[i++]; });
  result.num_near_duplicates = std::count(duplicate.begin(), duplicate.end(), true);
}

}  // namespace

std::vector<Prompt> without_duplicates(std::span<const Prompt> prompts) {
  std::unordered_set<std::string> seen;
  std::vector<Prompt> kept;
  for (const Prompt& prompt : prompts) {
    if (seen.insert(conversation_json(prompt.messages)).second) kept.push_back(prompt);
  }
  return kept;
}

std::vector<Prompt> sample_prompts(std::span<const Prompt> prompts, std::int64_t limit,
                                   std::optional<std::uint64_t> seed) {
  const std::size_t count =
      std::min(prompts.size(), static_cast<std::size_t>(std::max<std::int64_t>(limit, 0)));
  std::vector<std::size_t> order(prompts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (seed) RandomStream(*seed, "prepare").shuffle(order);
  order.resize(count);
  std::sort(order.begin(), order.end());
  std::vector<Prompt> taken;
  taken.reserve(count);
  for (const std::size_t i : order) taken.push_back(prompts[i]);
  return taken;
}

fs::path excluded_path(const fs::path& output) {
  fs::path path = output;
  path += ".excluded.jsonl";
  return path;
}

PrepareResult prepare(const PrepareOptions& options, const ProgressFn& progress) {
  check_options(options);
  const OutputLock lock(options.output);
  std::vector<Prompt> prompts = storage::read_prompts(options.input, options.read, options.turns);
  PrepareResult result;
  result.num_read = static_cast<std::int64_t>(prompts.size());
  if (options.dedupe || options.near_duplicates) prompts = without_duplicates(prompts);
  result.num_duplicates = result.num_read - static_cast<std::int64_t>(prompts.size());
  drop_by_length(prompts, options, result);
  if (!options.exclude.empty()) drop_excluded(prompts, options, result);
  if (options.near_duplicates) drop_near_duplicates(prompts, *options.near_duplicates, result);
  if (prompts.empty())
    throw Error(ErrorKind::kInput, "{}: all of its {} prompts were dropped", options.input.string(),
                result.num_read);
  if (options.limit) {
    if (static_cast<std::int64_t>(prompts.size()) < *options.limit) {
      log::warning("{}: has {} prompts, fewer than the limit of {}", options.input.string(),
                   prompts.size(), *options.limit);
    }
    prompts = sample_prompts(prompts, *options.limit, options.seed);
  }
  result.num_written = static_cast<std::int64_t>(prompts.size());
  storage::write_prompts(options.output, prompts);
  storage::write_manifest(options.output, manifest_of(options, result));
  if (progress)
    progress({"preparing prompts", result.num_written, result.num_written, "prompts", ""});
  return result;
}

}  // namespace charm::prepare
