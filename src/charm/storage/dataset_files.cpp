#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/parse_json.h"
#include "charm/storage/row_reader.h"
#include "charm/storage/row_source.h"

namespace charm::storage {
namespace {

nlohmann::json read_json(const fs::path& path) {
  return parse_json(read_file(path), path.string());
}

std::string quoted_list(const std::vector<std::string>& names) {
  return fmt::format("'{}'", fmt::join(names, "', '"));
}

// Ignores a trailing slash.
std::string folder_name(const fs::path& folder) {
  const fs::path whole = fs::absolute(folder).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

// A Dataset saved by Hugging Face `datasets`: state.json lists its Arrow stream shards.
std::vector<DataFile> saved_dataset(const fs::path& folder, const std::string& policy_name,
                                    const std::optional<std::string>& split) {
  const fs::path state_path = folder / "state.json";
  const nlohmann::json state = read_json(state_path);
  const auto shards = state.is_object() ? state.find("_data_files") : state.end();
  if (!state.is_object() || shards == state.end() || !shards->is_array()) {
    throw Error(ErrorKind::kInput, "{}: expected a list '_data_files'", state_path.string());
  }
  const auto own_split = state.find("_split");
  if (split && own_split != state.end() && own_split->is_string() &&
      own_split->get<std::string>() != *split) {
    throw Error(ErrorKind::kInput, "{}: has split '{}', but split '{}' was requested",
                folder.string(), own_split->get<std::string>(), *split);
  }
  if (shards->empty()) {
    throw Error(ErrorKind::kInput,
                "{}: holds no rows; the split is empty: choose another one or leave it out",
                folder.string());
  }
  std::vector<DataFile> files;
  for (const nlohmann::json& shard : *shards) {
    if (!shard.is_object() || !shard.contains("filename") || !shard["filename"].is_string()) {
      throw Error(ErrorKind::kInput, "{}: each entry of '_data_files' needs a string 'filename'",
                  state_path.string());
    }
    files.push_back({folder / shard["filename"].get<std::string>(), policy_name});
    if (!fs::exists(files.back().path)) {
      throw Error(ErrorKind::kInput, "{}: lists the shard {}, which does not exist",
                  state_path.string(), shard["filename"].get<std::string>());
    }
  }
  return files;
}

std::vector<DataFile> saved_dataset_dict(const fs::path& folder,
                                         const std::optional<std::string>& split) {
  const fs::path dict_path = folder / "dataset_dict.json";
  const nlohmann::json dict = read_json(dict_path);
  const auto found = dict.is_object() ? dict.find("splits") : dict.end();
  std::vector<std::string> splits;
  if (dict.is_object() && found != dict.end() && found->is_array()) {
    for (const nlohmann::json& name : *found) {
      if (name.is_string()) splits.push_back(name.get<std::string>());
    }
  }
  if (splits.empty())
    throw Error(ErrorKind::kInput, "{}: expected a list 'splits' of names", dict_path.string());
  if (!split && splits.size() > 1) {
    throw Error(ErrorKind::kInput,
                "{}: holds the splits {}; choose one with --split, or give its folder, {}",
                folder.string(), quoted_list(splits), (folder / splits.front()).string());
  }
  const std::string name = split.value_or(splits.front());
  if (std::find(splits.begin(), splits.end(), name) == splits.end()) {
    throw Error(ErrorKind::kInput, "{}: has no split '{}'; it holds {}", folder.string(), name,
                quoted_list(splits));
  }
  return saved_dataset(folder / name, folder_name(folder), std::nullopt);
}

bool is_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "train" of "train-00000-of-00003", also with a hash suffix ("-4f1a..."); empty for other names.
std::optional<std::string> split_of_shard(const std::string& stem) {
  constexpr std::size_t kDigits = 5;
  constexpr std::string_view kOf = "-of-";
  const std::size_t of = stem.rfind(kOf);
  if (of == std::string::npos || of < kDigits + 2) return std::nullopt;
  const std::string_view number = std::string_view(stem).substr(of - kDigits, kDigits);
  const std::string_view count = std::string_view(stem).substr(of + kOf.size(), kDigits);
  const std::string_view rest =
      std::string_view(stem).substr(std::min(stem.size(), of + kOf.size() + kDigits));
  const bool is_shard = stem[of - kDigits - 1] == '-' && is_digits(number) &&
                        count.size() == kDigits && is_digits(count) &&
                        (rest.empty() || rest.front() == '-');
  if (!is_shard) return std::nullopt;
  return stem.substr(0, of - kDigits - 1);
}

// Names that Spark (part-00000-<id>-c000), DuckDB (data_0), pyarrow (part-0, <id>-0), Dask (part.0)
// and the Hub (0000) give to the parts of one table.
bool is_part(std::string_view stem) {
  if (is_digits(stem)) return true;
  const std::string_view id = stem.substr(0, stem.rfind('-'));
  if (id.size() != stem.size() && is_digits(stem.substr(id.size() + 1)) && id.size() >= 32 &&
      id.find_first_not_of("0123456789abcdef-") == std::string_view::npos)
    return true;
  for (const std::string_view prefix : {"part", "data", "file", "chunk", "shard"}) {
    if (!stem.starts_with(prefix)) continue;
    std::string_view rest = stem.substr(prefix.size());
    if (rest.find_first_of("-_.") == 0) rest.remove_prefix(1);
    const std::size_t end = std::min(rest.find_first_of("-_."), rest.size());
    if (is_digits(rest.substr(0, end))) return true;
  }
  return false;
}

// "a%20b" -> "a b", as hive folders are named.
std::string percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    int byte = 0;
    const char* digits = text.data() + i + 1;
    const bool is_escape = text[i] == '%' && i + 2 < text.size() &&
                           std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2;
    decoded += is_escape ? static_cast<char>(byte) : text[i];
    if (is_escape) i += 2;
  }
  return decoded;
}

// What a folder of parts may hold, in order of preference: other files stand beside the data.
enum class PartFormat { kParquet, kArrow, kJsonLines, kCsv, kOther };

PartFormat format_of(const fs::path& path) {
  const fs::path name = path.extension() == ".gz" ? path.stem() : path;
  const fs::path extension = name.extension();
  if (path.extension() == ".parquet") return PartFormat::kParquet;
  if (path.extension() == ".arrow" || path.extension() == ".feather") return PartFormat::kArrow;
  if (extension == ".jsonl" || extension == ".ndjson") return PartFormat::kJsonLines;
  if (is_csv(path)) return PartFormat::kCsv;
  // Spark's; any other JSON beside data is a manifest, also "part-0.jsonl.manifest.json".
  const bool is_manifest = name.stem().extension() == ".manifest";
  if (extension == ".json" && !is_manifest && is_part(name.stem().string()))
    return PartFormat::kJsonLines;
  return PartFormat::kOther;
}

// The data files of a folder and of its hive folders (`column=value`), by name.
void collect_files(const fs::path& folder, const DataFile& parent, std::vector<DataFile>& files) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) {
    const std::string name = path.filename().string();
    if (name.starts_with('_') || name.starts_with('.')) continue;
    DataFile file = parent;
    file.path = path;
    const std::size_t equals = name.find('=');
    if (fs::is_directory(path)) {
      if (equals == std::string::npos || equals == 0) continue;
      const std::string value = percent_decoded(std::string_view(name).substr(equals + 1));
      if (value != "__HIVE_DEFAULT_PARTITION__")
        file.partition.emplace_back(percent_decoded(name.substr(0, equals)), value);
      collect_files(path, file, files);
    } else if (fs::is_regular_file(path) && format_of(path) != PartFormat::kOther) {
      files.push_back(std::move(file));
    }
  }
}

// Files of the best format that is there.
std::vector<DataFile> data_files_in(const fs::path& folder) {
  std::vector<DataFile> files;
  if (!fs::is_directory(folder)) return files;
  collect_files(folder, {}, files);
  PartFormat best = PartFormat::kOther;
  for (const DataFile& file : files) best = std::min(best, format_of(file.path));
  std::erase_if(files, [&](const DataFile& file) { return format_of(file.path) != best; });
  return files;
}

// Files named as parts are one policy, that of the folder; others are policies of their own.
std::vector<DataFile> parts_of_folder(const fs::path& folder,
                                      const std::optional<std::string>& split) {
  std::vector<DataFile> found = data_files_in(folder);
  if (found.empty()) found = data_files_in(folder / "data");
  std::vector<DataFile> files;
  std::set<std::string> splits;
  for (DataFile& file : found) {
    const std::string stem = policy_name_of(file.path);
    const std::optional<std::string> own_split = split_of_shard(stem);
    if (own_split) splits.insert(*own_split);
    if (split && own_split.value_or(stem) != *split) continue;
    file.policy_name =
        own_split || is_part(stem) || !file.partition.empty() ? folder_name(folder) : stem;
    files.push_back(std::move(file));
  }
  const std::vector<std::string> names(splits.begin(), splits.end());
  if (!split && splits.size() > 1) {
    throw Error(ErrorKind::kInput,
                "{}: holds shards of the splits {}; choose one with --split, or give its files",
                folder.string(), quoted_list(names));
  }
  if (split && files.empty() && !found.empty()) {
    throw Error(ErrorKind::kInput, "{}: has no file of split '{}'", folder.string(), *split);
  }
  return files;
}

std::vector<DataFile> files_of_folder(const fs::path& path,
                                      const std::optional<std::string>& split) {
  std::vector<DataFile> files;
  if (fs::exists(path / "dataset_dict.json")) {
    files = saved_dataset_dict(path, split);
  } else if (fs::exists(path / "state.json")) {
    files = saved_dataset(path, folder_name(path), split);
  } else {
    files = parts_of_folder(path, split);
  }
  if (files.empty()) {
    throw Error(ErrorKind::kInput,
                "{}: is not a dataset: expected state.json or dataset_dict.json (save_to_disk), or "
                "parts in Parquet, Arrow, JSONL or CSV in it",
                path.string());
  }
  return files;
}

}  // namespace

std::vector<DataFile> data_files_of(const fs::path& path, const std::optional<std::string>& split) {
  try {
    std::error_code code;
    const fs::file_status status = fs::status(path, code);
    if (!fs::exists(status))
      throw Error(ErrorKind::kIo, "{}: no such file or folder", path.string());
    if (fs::is_directory(status)) return files_of_folder(path, split);
  } catch (const fs::filesystem_error& e) {
    throw Error(ErrorKind::kIo, "{}: cannot be listed: {}", path.string(), e.code().message());
  }
  require_regular_file(path);
  if (split) {
    throw Error(ErrorKind::kInput,
                "{}: is a single file and has no splits, but split '{}' was requested",
                path.string(), *split);
  }
  return {{path, policy_name_of(path)}};
}

}  // namespace charm::storage
