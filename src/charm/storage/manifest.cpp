#include "charm/storage/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "charm/base/companions.h"
#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/hashing.h"
#include "charm/base/output_lock.h"
#include "charm/base/version.h"

namespace charm::storage {

using nlohmann::ordered_json;

/// Another process holds a manifest for milliseconds.
constexpr std::chrono::seconds kManifestWait{60};

struct Manifest::Content {
  std::string command;
  ordered_json options = ordered_json::object();
  ordered_json defaults = ordered_json::object();
  ordered_json seed = nullptr;
  ordered_json inputs = ordered_json::array();
  ordered_json outputs = ordered_json::array();
  ordered_json extra = ordered_json::object();
};

namespace {

/// File names may be invalid UTF-8: a replacement character is better than no manifest.
std::string json_text(const ordered_json& json, int indent = -1) {
  return json.dump(indent, ' ', /*ensure_ascii=*/false, ordered_json::error_handler_t::replace);
}

ordered_json json_of(const OptionValue& value) {
  return std::visit(
      [](const auto& held) -> ordered_json {
        if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::monostate>) {
          return nullptr;
        } else {
          return held;
        }
      },
      value);
}

std::vector<nlohmann::json> hashes_of(const nlohmann::json& inputs) {
  std::vector<nlohmann::json> hashes;
  for (const nlohmann::json& input : inputs) {
    const auto hash = input.is_object() ? input.find("sha256") : input.end();
    hashes.push_back(hash != input.end() ? *hash : nlohmann::json());
  }
  return hashes;
}

std::string difference(const std::string& name, const nlohmann::json* there,
                       const nlohmann::json* here) {
  const auto text = [](const nlohmann::json* value) {
    if (value == nullptr || value->is_null()) return std::string("unset");
    const std::string word = value->is_string() ? value->get<std::string>() : value->dump();
    return word.empty() ? std::string("''") : word;
  };
  return fmt::format("{} {}, here {}", name, text(there), text(here));
}

void add_input_differences(const nlohmann::json& theirs, const nlohmann::json& ours,
                           std::vector<std::string>& found) {
  const std::vector<nlohmann::json> there = hashes_of(theirs), here = hashes_of(ours);
  if (there.size() != here.size())
    found.push_back(fmt::format("{} inputs, here {}", there.size(), here.size()));
  for (std::size_t i = 0; i < std::min(there.size(), here.size()); ++i) {
    if (there[i] != here[i]) found.push_back(ours[i].value("path", "an input") + ": other content");
  }
}

}  // namespace

Manifest::Manifest(std::string_view command) : content_(std::make_unique<Content>()) {
  content_->command = command;
}
Manifest::~Manifest() = default;
Manifest::Manifest(Manifest&&) noexcept = default;
Manifest& Manifest::operator=(Manifest&&) noexcept = default;

Manifest& Manifest::options(const OptionTable& given, const OptionTable& defaults) {
  for (const Option& option : given.options()) {
    if (option.recorded != Recorded::kAsOption) continue;
    if (option.name == "seed") {
      content_->seed = json_of(option.value());
      continue;
    }
    content_->options[option.name] = json_of(option.value());
    content_->defaults[option.name] = json_of(defaults.find(option.name)->value());
  }
  return *this;
}

Manifest& Manifest::option(std::string_view name, const ordered_json& value) {
  content_->options[std::string(name)] = value;
  return *this;
}

Manifest& Manifest::input(const fs::path& path, std::int64_t num_rows) {
  return input_hashed(path, sha256_of_path(path), num_rows);
}

Manifest& Manifest::input_hashed(const fs::path& path, std::string_view sha256,
                                 std::int64_t num_rows) {
  ordered_json entry = {{"path", path.string()}, {"sha256", sha256}};
  if (num_rows >= 0) entry["num_rows"] = num_rows;
  content_->inputs.push_back(std::move(entry));
  return *this;
}

Manifest& Manifest::output(const fs::path& path, std::int64_t num_rows) {
  ordered_json entry = {{"path", path.string()}};
  if (num_rows >= 0) entry["num_rows"] = num_rows;
  content_->outputs.push_back(std::move(entry));
  return *this;
}

Manifest& Manifest::extra(std::string_view name, const ordered_json& value) {
  content_->extra[std::string(name)] = value;
  return *this;
}

std::string Manifest::fingerprint() const { return fingerprint_of(to_json()); }

bool Manifest::matches(const fs::path& output) const {
  return matches_recorded(read_manifest(output));
}

bool Manifest::matches_recorded(const ordered_json& recorded) const {
  return differences(recorded).empty();
}

std::vector<std::string> Manifest::differences(const ordered_json& recorded) const {
  const nlohmann::json theirs = recorded;
  const auto ours = nlohmann::json::parse(json_text(to_json()));
  for (const char* name : {"version", "command", "seed", "options", "inputs"}) {
    if (!theirs.is_object() || !theirs.contains(name)) return {"no manifest"};
  }
  std::vector<std::string> found;
  for (const char* name : {"version", "command"}) {
    if (theirs[name] != ours[name]) found.push_back(difference(name, &theirs[name], &ours[name]));
  }
  if (theirs["seed"] != ours["seed"])
    found.push_back(difference("--seed", &theirs["seed"], &ours["seed"]));
  const auto defaults = nlohmann::json::parse(json_text(content_->defaults));
  nlohmann::json options = theirs["options"];
  for (const auto& [name, value] : ours["options"].items()) {
    if (!options.contains(name) && defaults.contains(name)) options[name] = defaults[name];
  }
  nlohmann::json names = options;
  names.update(ours["options"]);
  for (const auto& [name, value] : names.items()) {
    const nlohmann::json* there = options.contains(name) ? &options[name] : nullptr;
    const nlohmann::json* here = ours["options"].contains(name) ? &ours["options"][name] : nullptr;
    if (there == nullptr || here == nullptr || *there != *here)
      found.push_back(difference("--" + name, there, here));
  }
  add_input_differences(theirs["inputs"], ours["inputs"], found);
  return found;
}

ordered_json Manifest::to_json() const {
  ordered_json json = {{"program", "charm"},           {"version", kVersion},
                       {"command", content_->command}, {"options", content_->options},
                       {"seed", content_->seed},       {"inputs", content_->inputs},
                       {"outputs", content_->outputs}};
  for (const auto& [name, value] : content_->extra.items()) json[name] = value;
  return json;
}

namespace {

/// Where versions before companion folders wrote it.
fs::path old_manifest_path(const fs::path& output) {
  return fs::is_directory(output) ? output / "manifest.json"
                                  : path_beside(output, ".manifest.json");
}

void write_json(const fs::path& output, const ordered_json& json) {
  const fs::path path = manifest_path(output), old_path = old_manifest_path(output);
  write_file(path, json_text(json, /*indent=*/2) + "\n");
  std::error_code ignored;
  if (path != old_path) fs::remove(old_path, ignored);
}

}  // namespace

fs::path manifest_path(const fs::path& output) {
  if (!fs::is_directory(output)) return companion_path(output, ".manifest.json");
  const fs::path companions = companion_folder(output);
  return (fs::is_directory(companions) ? companions : output) / "manifest.json";
}

void write_manifest(const fs::path& output, const Manifest& manifest) {
  if (is_standard_output(output)) return;
  write_json(output, manifest.to_json());
}

ordered_json read_manifest(const fs::path& output) {
  fs::path path = manifest_path(output);
  if (!fs::exists(path)) path = old_manifest_path(output);
  if (!fs::exists(path)) return nullptr;
  ordered_json json = ordered_json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  return json.is_discarded() ? ordered_json() : json;
}

void update_manifest(const fs::path& output,
                     const std::function<ordered_json(const ordered_json& present)>& merge) {
  const OutputLock lock(manifest_path(output), {.wait = kManifestWait});
  write_json(output, merge(read_manifest(output)));
}

std::string fingerprint_of(const ordered_json& manifest) {
  ordered_json hashes = ordered_json::array();
  for (const ordered_json& input : manifest.at("inputs")) hashes.push_back(input.at("sha256"));
  return sha256_hex(json_text(ordered_json{manifest.at("version"), manifest.at("command"),
                                           manifest.at("options"), manifest.at("seed"), hashes}));
}

std::string sha256_of_path(const fs::path& path) {
  return fs::is_directory(path) ? sha256_of_hashes(hash_files(path)) : sha256_file(path);
}

namespace {

bool is_model_folder(const fs::path& folder) {
  return fs::exists(folder / "config.json") || fs::exists(folder / "adapter_config.json");
}

// What trainers and git leave in the folder of a model: checkpoints, logs, copies of the weights.
bool is_beside_model(const std::string& name) {
  return name.starts_with('.') || name.starts_with("checkpoint-") ||
         name.starts_with("global_step") || name == "runs" || name == "wandb" || name == "logs";
}

}  // namespace

std::vector<std::pair<std::string, std::string>> hash_files(const fs::path& folder) {
  std::vector<std::string> names;
  try {
    const bool is_model = is_model_folder(folder);
    for (fs::recursive_directory_iterator next(folder), end; next != end; ++next) {
      const bool is_left_out = is_model && next.depth() == 0 && next->is_directory() &&
                               is_beside_model(next->path().filename().string());
      if (is_left_out) next.disable_recursion_pending();
      if (next->is_regular_file())
        names.push_back(next->path().lexically_relative(folder).generic_string());
    }
  } catch (const fs::filesystem_error& e) {
    throw Error(ErrorKind::kIo, "{}: cannot be listed: {}", folder.string(), e.code().message());
  }
  std::sort(names.begin(), names.end());
  std::vector<std::pair<std::string, std::string>> hashes;
  for (std::string& name : names) {
    std::string hash = sha256_file(folder / name);
    hashes.emplace_back(std::move(name), std::move(hash));
  }
  return hashes;
}

std::string sha256_of_hashes(const std::vector<std::pair<std::string, std::string>>& hashes) {
  std::string lines;
  for (const auto& [name, hash] : hashes) lines += fmt::format("{}  {}\n", hash, name);
  return sha256_hex(lines);
}

namespace {

bool is_of_model(const std::string& name) {
  constexpr std::string_view kNames[] = {"config.json",         "adapter_config.json",
                                         "adapter_model.bin",   "value_head.bin",
                                         "regression_layer.pt", "gating_layer.pt"};
  const bool is_safetensors =
      name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json");
  const bool is_torch = name.starts_with("pytorch_model") &&
                        (name.ends_with(".bin") || name.ends_with(".bin.index.json"));
  return is_safetensors || is_torch ||
         std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

ModelHashes hash_folder(const fs::path& folder) {
  const auto files = hash_files(folder);
  ModelHashes hashes;
  hashes.folder = sha256_of_hashes(files);
  std::vector<std::pair<std::string, std::string>> model;
  for (const auto& [name, hash] : files) {
    if (name == "tokenizer.json") hashes.tokenizer = hash;
    if (is_of_model(name)) model.emplace_back(name, hash);
  }
  hashes.model = sha256_of_hashes(model);
  return hashes;
}

}  // namespace

ModelHashes hash_model(const std::vector<fs::path>& folders) {
  if (folders.size() == 1) return hash_folder(folders.front());
  ModelHashes all;
  std::vector<std::pair<std::string, std::string>> whole, model;
  for (std::size_t i = 0; i < folders.size(); ++i) {
    ModelHashes hashes = hash_folder(folders[i]);
    whole.emplace_back(std::to_string(i), hashes.folder);
    model.emplace_back(std::to_string(i), hashes.model);
    if (!hashes.tokenizer.empty()) all.tokenizer = hashes.tokenizer;
  }
  all.folder = sha256_of_hashes(whole);
  all.model = sha256_of_hashes(model);
  return all;
}

}  // namespace charm::storage
