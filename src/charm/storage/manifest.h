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

#include "charm/base/option_table.h"

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

  /// The options that decide the result, under their names on the command line, as `describe`
  /// names them; `seed` is a member of its own.
  template <typename Options>
  Manifest& options(const Options& options, void (*describe)(OptionTable&, Options&)) {
    Options given = options, defaults;  // a table is bound to fields that can be written
    OptionTable given_table, default_table;
    describe(given_table, given);
    describe(default_table, defaults);
    return this->options(given_table, default_table);
  }
  Manifest& options(const OptionTable& given, const OptionTable& defaults);
  /// One option as it was resolved ("auto" became "float32"), or a fact that counts like one.
  Manifest& option(std::string_view name, const nlohmann::ordered_json& value);
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

  /// Whether the manifest beside (or inside) `output` is of a run with the same version, command,
  /// options, seed and content of the inputs. An option that it lacks, because it is older than the
  /// option, counts as left at its default.
  bool matches(const std::filesystem::path& output) const;
  /// The same for the JSON of a manifest.
  bool matches_recorded(const nlohmann::ordered_json& recorded) const;
  /// What differs from the run of such a JSON: "--epochs 1, here 2", "pairs.parquet: other
  /// content". Empty if it is the same run.
  std::vector<std::string> differences(const nlohmann::ordered_json& recorded) const;

  nlohmann::ordered_json to_json() const;

 private:
  struct Content;
  std::unique_ptr<Content> content_;
};

/// `<output>.manifest.json` at the companion path of `output` (base/companions.h); of a folder
/// `manifest.json` in its companion folder, if it has one, else in itself.
std::filesystem::path manifest_path(const std::filesystem::path& output);

/// Writes the manifest of the finished output; one that an earlier version left elsewhere goes.
/// Standard output has none.
void write_manifest(const std::filesystem::path& output, const Manifest& manifest);

/// The manifest of `output`, also where an earlier version wrote it; null if there is none or it is
/// not JSON.
nlohmann::ordered_json read_manifest(const std::filesystem::path& output);

/// Replaces the manifest of `output` by `merge` of the existing one (null: none). For an output
/// that several processes write parts of: updates are serialised by a lock.
void update_manifest(
    const std::filesystem::path& output,
    const std::function<nlohmann::ordered_json(const nlohmann::ordered_json& existing)>& merge);

/// `Manifest::fingerprint` of a manifest's JSON.
std::string fingerprint_of(const nlohmann::ordered_json& manifest);

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
  std::string model;      ///< of config.json and the weights, an adapter's included
  std::string tokenizer;  ///< of tokenizer.json: what `sha256sum tokenizer.json` prints
};

/// Reads each file once. With several folders (a base model, an adapter) the last tokenizer counts.
ModelHashes hash_model(const std::vector<std::filesystem::path>& folders);

}  // namespace charm::storage
