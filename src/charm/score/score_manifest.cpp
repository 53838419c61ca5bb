#include "charm/score/score_manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "charm/base/files.h"
#include "charm/storage/manifest.h"

namespace charm::score {
namespace {

using nlohmann::ordered_json;

/// null where there is none.
const ordered_json& member(const ordered_json& object, const char* name) {
  static const ordered_json kNull;
  const auto found = object.find(name);  // end() also where it is no object
  return found != object.end() ? *found : kNull;
}

std::string text_of(const ordered_json& object, const char* name) {
  const ordered_json& value = member(object, name);
  return value.is_string() ? value.get<std::string>() : "";
}

std::int64_t count_of(const ordered_json& object, const char* name) {
  const ordered_json& value = member(object, name);
  return value.is_number_integer() ? value.get<std::int64_t>() : 0;
}

/// Runs may name the folder by different paths: the file's own name tells entries apart.
std::string file_name_of(const ordered_json& entry) {
  return fs::path(text_of(entry, "path")).filename().string();
}

void sort_by_path(ordered_json& list) {
  std::sort(list.begin(), list.end(), [](const ordered_json& a, const ordered_json& b) {
    const auto key = [](const ordered_json& entry) {
      return std::pair(text_of(entry, "path"), text_of(entry, "sha256"));
    };
    return key(a) < key(b);
  });
}

}  // namespace

ordered_json PolicyEntry::to_json() const {
  return {{"path", file.string()},      {"num_rows", num_rows},
          {"num_errors", num_errors},   {"num_truncated", num_truncated},
          {"fingerprint", fingerprint}, {"inputs", inputs}};
}

std::optional<PolicyEntry> find_policy(const ordered_json& manifest, const fs::path& file) {
  for (const ordered_json& entry : member(manifest, "outputs")) {
    if (file_name_of(entry) != file.filename().string()) continue;
    PolicyEntry found{.file = file,
                      .num_rows = count_of(entry, "num_rows"),
                      .num_errors = count_of(entry, "num_errors"),
                      .num_truncated = count_of(entry, "num_truncated"),
                      .fingerprint = text_of(entry, "fingerprint"),
                      .inputs = {}};
    for (const ordered_json& path : member(entry, "inputs")) {
      if (path.is_string()) found.inputs.push_back(path.get<std::string>());
    }
    if (!found.fingerprint.empty() && !found.inputs.empty()) return found;
  }
  return std::nullopt;
}

ordered_json manifest_of_policy(const ordered_json& manifest, const fs::path& file) {
  for (const ordered_json& entry : member(manifest, "outputs")) {
    if (file_name_of(entry) != file.filename().string() || entry.contains("provenance")) continue;
    ordered_json alone = manifest;
    alone["inputs"] = ordered_json::array();
    for (const ordered_json& path : member(entry, "inputs")) {
      for (const ordered_json& input : member(manifest, "inputs")) {
        if (member(input, "path") == path) alone["inputs"].push_back(input);
      }
    }
    return alone;
  }
  return nullptr;
}

ordered_json with_other_policies(ordered_json own, const ordered_json& present,
                                 const fs::path& folder) {
  std::set<std::string> own_files;
  for (const ordered_json& entry : own["outputs"]) own_files.insert(file_name_of(entry));
  std::set<std::string> needed;  // inputs of the entries that are kept
  const bool is_of_score = text_of(present, "command") == text_of(own, "command");
  for (ordered_json entry : is_of_score ? member(present, "outputs") : ordered_json()) {
    const std::string name = file_name_of(entry);
    if (name.empty() || own_files.contains(name) || !fs::exists(folder / name)) continue;
    for (const ordered_json& path : member(entry, "inputs")) {
      if (path.is_string()) needed.insert(path.get<std::string>());
    }
    const ordered_json provenance =
        entry.contains("provenance") ? entry["provenance"] : member(present, "provenance");
    entry.erase("provenance");
    if (provenance != own["provenance"]) entry["provenance"] = provenance;
    own["outputs"].push_back(std::move(entry));
  }
  if (own["outputs"].size() > own_files.size()) {
    for (const ordered_json& input : member(present, "inputs")) {
      ordered_json& inputs = own["inputs"];
      if (needed.contains(text_of(input, "path")) &&
          std::find(inputs.begin(), inputs.end(), input) == inputs.end())
        inputs.push_back(input);
    }
    sort_by_path(own["outputs"]);
    sort_by_path(own["inputs"]);
  }
  std::int64_t num_errors = 0, num_truncated = 0;
  for (const ordered_json& entry : own["outputs"]) {
    num_errors += count_of(entry, "num_errors");
    num_truncated += count_of(entry, "num_truncated");
  }
  own["fingerprint"] = storage::fingerprint_of(own);
  own["num_errors"] = num_errors;
  own["num_truncated"] = num_truncated;
  return own;
}

}  // namespace charm::score
