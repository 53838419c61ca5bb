#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace charm::storage {

/// The provenance of an output: `{program, version, command, options, seed, inputs: [{path, sha256,
/// num_rows}], outputs: [{path, num_rows}], ...}`. Has no timestamp, so the same run writes the
/// same manifest. Not thread-safe.
class Manifest {
 public:
  explicit Manifest(std::string_view command);
  ~Manifest();
  Manifest(Manifest&&) noexcept;
  Manifest& operator=(Manifest&&) noexcept;

  /// A resolved option under its name on the command line, without dashes.
  Manifest& option(std::string_view name, const nlohmann::ordered_json& value);
  Manifest& seed(std::uint64_t seed);
  /// Hashes a file, or every file of a folder by name. A negative `num_rows` is omitted.
  Manifest& input(const std::filesystem::path& path, std::int64_t num_rows = -1);
  /// The same with a known hash.
  Manifest& input_hashed(const std::filesystem::path& path, std::string_view sha256,
                         std::int64_t num_rows = -1);
  Manifest& output(const std::filesystem::path& path, std::int64_t num_rows = -1);
  /// A further top-level member: counts, model revision, template date, ...
  Manifest& extra(std::string_view name, const nlohmann::ordered_json& value);

  /// SHA-256 over version, command, options, seed and the inputs' hashes (not their paths): the key
  /// of a journal.
  std::string fingerprint() const;

  nlohmann::ordered_json to_json() const;

 private:
  struct Content;
  std::unique_ptr<Content> content_;
};

/// `<output>.manifest.json`, or `manifest.json` inside when `output` is a folder.
std::filesystem::path manifest_path(const std::filesystem::path& output);

/// Writes the manifest next to (or inside) the finished output.
void write_manifest(const std::filesystem::path& output, const Manifest& manifest);

/// The manifest of `output`; null if there is none or it is not JSON.
nlohmann::ordered_json read_manifest(const std::filesystem::path& output);

/// Replaces the manifest of `output` by `merge` of the existing one (null: none). For an output
/// that several processes write parts of: updates are serialised by a lock.
void update_manifest(
    const std::filesystem::path& output,
    const std::function<nlohmann::ordered_json(const nlohmann::ordered_json& existing)>& merge);

/// `Manifest::fingerprint` of a manifest's JSON.
std::string fingerprint_of(const nlohmann::ordered_json& manifest);

/// The fingerprint that the manifest of `output` records under `name`; empty if there is none.
std::string recorded_fingerprint(const std::filesystem::path& output,
                                 std::string_view name = "fingerprint");

/// SHA-256 of a file, or of a folder: over the relative names and hashes of its files, sorted by
/// name.
std::string sha256_of_path(const std::filesystem::path& path);

/// The relative names of a folder's files with their SHA-256, sorted by name.
std::vector<std::pair<std::string, std::string>> hash_files(const std::filesystem::path& folder);

/// SHA-256 over (a part of) such a list.
std::string sha256_of_hashes(const std::vector<std::pair<std::string, std::string>>& hashes);

/// SHA-256 of the contents of a model folder.
struct ModelHashes {
  std::string folder;     ///< of all files, as `sha256_of_path`
  std::string model;      ///< of config.json and the safetensors files
  std::string tokenizer;  ///< of tokenizer.json: what `sha256sum tokenizer.json` prints
};

/// Reads each file once.
ModelHashes hash_model(const std::filesystem::path& model_dir);

}  // namespace charm::storage
