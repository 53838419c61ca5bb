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
#include "charm/base/random.h"
#include "charm/storage/manifest.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"

namespace charm::prepare {
namespace {

void check_options(const PrepareOptions& options) {
  if (options.limit && *options.limit <= 0) {
    throw Error(ErrorKind::kUsage, "--limit is {}; expected at least 1", *options.limit);
  }
  storage::require_known_extension(options.output);
  require_writable(options.output);
}

storage::Manifest manifest_of(const PrepareOptions& options, const PrepareResult& result) {
  storage::Manifest manifest("prepare");
  manifest
      .option("limit", options.limit ? nlohmann::ordered_json(*options.limit)
                                     : nlohmann::ordered_json(nullptr))
      .option("dedupe", options.dedupe)
      .option("max-bad-rows", options.read.max_bad_rows);
  if (options.read.split) manifest.option("split", *options.read.split);
  if (options.seed) manifest.seed(*options.seed);
  manifest.input(options.input, result.num_read).output(options.output, result.num_written);
  manifest.extra("num_duplicates", result.num_duplicates);
  return manifest;
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

std::vector<Prompt> take_prompts(std::span<const Prompt> prompts, std::int64_t limit,
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

PrepareResult prepare(const PrepareOptions& options, const ProgressFn& progress) {
  check_options(options);
  std::vector<Prompt> prompts = storage::read_prompts(options.input, options.read);
  PrepareResult result;
  result.num_read = static_cast<std::int64_t>(prompts.size());
  if (options.dedupe) prompts = without_duplicates(prompts);
  result.num_duplicates = result.num_read - static_cast<std::int64_t>(prompts.size());
  if (options.limit) {
    if (static_cast<std::int64_t>(prompts.size()) < *options.limit) {
      log::warning("{}: has {} prompts, fewer than the limit of {}", options.input.string(),
                   prompts.size(), *options.limit);
    }
    prompts = take_prompts(prompts, *options.limit, options.seed);
  }
  result.num_written = static_cast<std::int64_t>(prompts.size());
  storage::write_prompts(options.output, prompts);
  storage::write_manifest(options.output, manifest_of(options, result));
  if (progress)
    progress({"preparing prompts", result.num_written, result.num_written, "prompts", ""});
  return result;
}

}  // namespace charm::prepare
