#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/hub/hub_client.h"

namespace charm::hub {
namespace {

// Weights in transformers' order of preference: a file, and the index of its shards.
struct WeightNames {
  const char* single;
  const char* index;
};
constexpr WeightNames kSafetensors = {"model.safetensors", "model.safetensors.index.json"};
constexpr WeightNames kTorch = {"pytorch_model.bin", "pytorch_model.bin.index.json"};
constexpr const char* kAdapterWeights[] = {"adapter_model.safetensors", "adapter_model.bin"};
// Heads in files of their own, each the first of its row that is there.
constexpr const char* kHeads[][2] = {{"value_head.safetensors", "value_head.bin"},
                                     {"regression_layer.pt", ""},
                                     {"gating_layer.pt", ""}};
constexpr const char* kConverted = "refs/convert/parquet";

bool ends_with_any(const std::string& name, std::initializer_list<std::string_view> ends) {
  return std::any_of(ends.begin(), ends.end(),
                     [&](std::string_view end) { return name.ends_with(end); });
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Configuration, tokenizer and templates in the repository's root: small files.
bool is_model_setting(const std::string& name) {
  return name.find('/') == std::string::npos &&
         ends_with_any(
             name, {".json", ".jinja", "tokenizer.model", "spm.model", "merges.txt", "vocab.txt"});
}

/// Shards listed in an index.
std::vector<std::string> shards_of(const fs::path& index) {
  const auto json = nlohmann::json::parse(read_file(index), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object()) {
    throw Error(ErrorKind::kInput, "{}: expected an object with weight_map", index.string());
  }
  std::set<std::string> shards;
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    if (name.empty() || name.find('/') != std::string::npos) {
      throw Error(ErrorKind::kInput,
                  "{}: tensor '{}' is in '{}'; expected a file in the same folder", index.string(),
                  tensor, name);
    }
    shards.insert(name);
  }
  return {shards.begin(), shards.end()};
}

bool has_weights(const fs::path& folder, const WeightNames& names) {
  std::error_code error;
  if (fs::exists(folder / names.single, error)) return true;
  if (!fs::exists(folder / names.index, error)) return false;
  const auto shards = shards_of(folder / names.index);
  return std::all_of(shards.begin(), shards.end(),
                     [&](const std::string& shard) { return fs::exists(folder / shard, error); });
}

bool is_complete_model(const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder / "config.json", error) &&
      (has_weights(folder, kSafetensors) || has_weights(folder, kTorch)))
    return true;
  return std::any_of(std::begin(kAdapterWeights), std::end(kAdapterWeights),
                     [&](const char* name) { return fs::exists(folder / name, error); });
}

/// The cached snapshot of the revision if `is_complete` accepts it.
template <typename IsComplete>
std::optional<fs::path> cached(const RepoCache& cache, const std::string& revision,
                               const IsComplete& is_complete) {
  const std::optional<std::string> commit = cache.commit_of(revision);
  if (!commit) return std::nullopt;
  fs::path folder = cache.snapshot(*commit);
  std::error_code error;
  if (!fs::is_directory(folder, error) || !is_complete(folder)) return std::nullopt;
  return folder;
}

Error not_cached(const HubSource& source, const HubOptions& options) {
  return Error(ErrorKind::kNetwork,
               "hub:{}@{} is not (completely) in the cache {}, and charm is offline (--offline, "
               "HF_HUB_OFFLINE)",
               source.repo, source.revision, options.cache_dir.string());
}

/// `online()`, or the cached snapshot if offline or if the Hub is unreachable.
template <typename IsComplete, typename Online>
fs::path online_or_cached(HubRepo& repo, const HubSource& source, const HubOptions& options,
                          const IsComplete& is_complete, const Online& online) {
  if (options.offline) {
    if (const auto folder = cached(repo.cache(), source.revision, is_complete)) return *folder;
    throw not_cached(source, options);
  }
  HubRepo::Listing listing;
  try {
    listing = repo.list();
  } catch (const Error& error) {
    const auto folder = cached(repo.cache(), source.revision, is_complete);
    if (!repo.unreachable() || !folder) throw;
    log::warning("{}; using the cache: {}", error.message(), folder->string());
    return *folder;
  }
  const fs::path result = online(listing);
  repo.cache().set_commit(source.revision, listing.commit);
  return result;
}

/// Matches file names such as "data/train-00000-of-00004.parquet", "test.parquet",
/// "default/train/0000.parquet".
bool is_of_split(const std::string& file, const std::string& split) {
  const fs::path path(file);
  const std::string name = path.filename().string();
  return name.starts_with(split + "-") || name.starts_with(split + ".") ||
         name.starts_with(split + "_") || path.parent_path().filename() == split;
}

std::vector<std::string> parquet_files(const std::vector<std::string>& files,
                                       const std::optional<std::string>& split) {
  std::vector<std::string> chosen;
  for (const std::string& file : files) {
    if (file.ends_with(".parquet") && (!split || is_of_split(file, *split))) chosen.push_back(file);
  }
  return chosen;
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < 12; ++i)
    text += (text.empty() ? "" : ", ") + names[i];
  return names.size() > 12 ? text + ", ..." : text;
}

fs::path fetch_all(HubRepo& repo, const std::string& commit, const std::vector<std::string>& files,
                   const ProgressFn& progress) {
  for (const std::string& file : files) repo.fetch(commit, file, progress);
  return repo.cache().snapshot(commit);
}

/// The folder of the Parquet files, which readers expect in one folder.
fs::path common_folder(const fs::path& snapshot, const std::vector<std::string>& files) {
  std::set<fs::path> folders;
  for (const std::string& file : files) folders.insert(fs::path(file).parent_path());
  if (folders.size() > 1) {
    throw Error(ErrorKind::kUsage,
                "{}: data files in several folders ({}); name one file (hub:OWNER/NAME/FILE) or a "
                "split (--split)",
                snapshot.string(), list_of(files));
  }
  return snapshot / *folders.begin();
}

}  // namespace

namespace {

bool has_weights(const HubRepo::Listing& listing, const WeightNames& names) {
  return contains(listing.files, names.single) || contains(listing.files, names.index);
}

/// The one file or the shards; the index is among the settings that are there already.
std::vector<std::string> weights_of(const HubRepo::Listing& listing, const WeightNames& names,
                                    const fs::path& folder) {
  if (contains(listing.files, names.single)) return {names.single};
  return shards_of(folder / names.index);
}

/// The cached conversion of a branch that has no safetensors, for offline use.
std::optional<fs::path> cached_conversion(const RepoCache& cache) {
  const fs::path refs = cache.snapshot("").parent_path().parent_path() / "refs" / "refs" / "pr";
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(refs, error)) {
    const std::string revision = "refs/pr/" + entry.path().filename().string();
    if (const auto folder = cached(cache, revision, is_complete_model)) return folder;
  }
  return std::nullopt;
}

/// Downloads settings, then weights, an adapter's weights and heads in files of their own.
fs::path fetch_model_files(HubRepo& repo, const HubRepo::Listing& listing,
                           const ProgressFn& progress) {
  std::vector<std::string> settings;
  for (const std::string& file : listing.files) {
    if (is_model_setting(file)) settings.push_back(file);
  }
  fs::path folder = fetch_all(repo, listing.commit, settings, progress);
  std::vector<std::string> weights;
  for (const WeightNames& names : {kSafetensors, kTorch}) {
    if (weights.empty() && has_weights(listing, names))
      weights = weights_of(listing, names, folder);
  }
  for (const char* name : kAdapterWeights) {
    if (!contains(listing.files, name)) continue;
    weights.emplace_back(name);
    break;
  }
  for (const auto& names : kHeads) {
    const auto* found = std::find_if(std::begin(names), std::end(names), [&](const char* name) {
      return contains(listing.files, name);
    });
    if (found != std::end(names)) weights.emplace_back(*found);
  }
  return fetch_all(repo, listing.commit, weights, progress);
}

}  // namespace

fs::path fetch_model(const HubSource& source, const HubOptions& options,
                     const ProgressFn& progress) {
  if (!source.file.empty())
    throw Error(ErrorKind::kUsage, "hub:{}/{}: expected a model repository, found a file",
                source.repo, source.file);
  HubRepo repo(source, RepoKind::kModel, options);
  if (options.offline && !cached(repo.cache(), source.revision, is_complete_model)) {
    if (const auto folder = cached_conversion(repo.cache())) return *folder;
  }
  std::optional<std::string> conversion;
  fs::path folder = online_or_cached(
      repo, source, options, is_complete_model, [&](const HubRepo::Listing& listing) {
        const bool is_adapter = contains(listing.files, kAdapterWeights[0]) ||
                                contains(listing.files, kAdapterWeights[1]);
        if (!has_weights(listing, kSafetensors) && !is_adapter &&
            !source.revision.starts_with("refs/"))
          conversion = repo.conversion_revision();
        if (conversion) return fs::path();
        if (!has_weights(listing, kSafetensors) && !has_weights(listing, kTorch) && !is_adapter) {
          throw Error(ErrorKind::kInput,
                      "hub:{}@{}: has no weights: expected {}, {} or their index, or an adapter's "
                      "{} (found: {})",
                      source.repo, source.revision, kSafetensors.single, kTorch.single,
                      kAdapterWeights[0], list_of(listing.files));
        }
        return fetch_model_files(repo, listing, progress);
      });
  if (!conversion) return folder;
  log::info("hub:{}: has no safetensors on {}; using the conversion in {}", source.repo,
            source.revision, *conversion);
  HubSource converted = source;
  converted.revision = *conversion;
  return fetch_model(converted, options, progress);
}

fs::path cached_snapshot(const fs::path& folder) {
  std::error_code error;
  if (folder.empty() || fs::exists(folder / "config.json", error) ||
      !fs::is_directory(folder / "snapshots", error))
    return folder;
  std::vector<fs::path> snapshots;
  for (const auto& entry : fs::directory_iterator(folder / "snapshots", error))
    snapshots.push_back(entry.path());
  if (fs::exists(folder / "refs" / "main", error)) {
    std::string commit = read_file(folder / "refs" / "main");
    while (!commit.empty() && (commit.back() == '\n' || commit.back() == ' ')) commit.pop_back();
    if (is_commit(commit) && fs::is_directory(folder / "snapshots" / commit, error))
      return folder / "snapshots" / commit;
  }
  if (snapshots.size() == 1) return snapshots.front();
  throw Error(ErrorKind::kInput,
              "{}: a repository in the cache of the Hub with {} snapshots and no refs/main that "
              "says which; give one of {}",
              folder.string(), snapshots.size(), (folder / "snapshots").string());
}

fs::path fetch_dataset(const HubSource& source, const std::optional<std::string>& split,
                       const HubOptions& options, const ProgressFn& progress) {
  HubRepo repo(source, RepoKind::kDataset, options);
  if (!source.file.empty()) {
    const auto has_file = [&](const fs::path& folder) { return fs::exists(folder / source.file); };
    const fs::path folder =
        online_or_cached(repo, source, options, has_file, [&](const HubRepo::Listing& listing) {
          if (!contains(listing.files, source.file)) {
            throw Error(ErrorKind::kInput, "hub:{}: has no file '{}'; it has {}", source.repo,
                        source.file, list_of(listing.files));
          }
          return fetch_all(repo, listing.commit, {source.file}, progress);
        });
    return folder / source.file;
  }
  const auto files_in = [&](const fs::path& folder) {
    std::vector<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file())
        files.push_back(entry.path().lexically_relative(folder).generic_string());
    }
    std::sort(files.begin(), files.end());
    return files;
  };
  const auto has_data = [&](const fs::path& folder) {
    return !parquet_files(files_in(folder), split).empty();
  };
  std::optional<fs::path> single;
  bool convert = false;
  fs::path folder =
      online_or_cached(repo, source, options, has_data, [&](const HubRepo::Listing& listing) {
        const std::vector<std::string> parquet = parquet_files(listing.files, split);
        if (!parquet.empty()) return fetch_all(repo, listing.commit, parquet, progress);
        std::vector<std::string> texts;
        for (const std::string& file : listing.files) {
          const bool is_data = ends_with_any(file, {".jsonl", ".jsonl.gz", ".json.gz"}) ||
                               (file.ends_with(".json") && file != "dataset_infos.json");
          if (is_data && (!split || is_of_split(file, *split))) texts.push_back(file);
        }
        if (texts.size() == 1) {
          single = repo.fetch(listing.commit, texts.front(), progress);
          return repo.cache().snapshot(listing.commit);
        }
        if (texts.size() > 1) {
          throw Error(ErrorKind::kUsage,
                      "hub:{}: holds several data files ({}); name one: hub:{}/FILE, or --split",
                      source.repo, list_of(texts), source.repo);
        }
        convert = true;
        return repo.cache().snapshot(listing.commit);
      });
  if (single) return *single;
  if (!convert) return common_folder(folder, parquet_files(files_in(folder), split));
  if (source.revision == kConverted)
    throw Error(ErrorKind::kInput, "hub:{}@{}: has no data files that charm reads", source.repo,
                source.revision);
  log::info("hub:{}: no Parquet or JSON files on this branch; using {}", source.repo, kConverted);
  HubSource converted = source;
  converted.revision = kConverted;
  return fetch_dataset(converted, split, options, progress);
}

}  // namespace charm::hub
