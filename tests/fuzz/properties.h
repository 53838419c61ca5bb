#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// What must hold for any bytes a user's file may have: reading ends with a value or with a
// charm::Error that a user may cause, and a value that was read survives writing and reading again.
// One function per kind of file; `property_test` tries them on seeds and mutations, the libFuzzer
// programs search on.
namespace charm::fuzz {

/// Returns whether the bytes were accepted. Throws whatever is a bug: an error of a kind that no
/// input may cause, or `Broken`.
using PropertyFn = bool (*)(std::string_view bytes);

bool safetensors_property(std::string_view bytes);
bool config_property(std::string_view bytes);
/// tokenizer.json, then after a NUL a text; without a NUL the bytes are the text for tokenizers of
/// ours.
bool tokenizer_property(std::string_view bytes);
/// A chat template, then after a NUL what the user says.
bool template_property(std::string_view bytes);
/// Prompts, responses, scores and preferences in any format.
bool rows_property(std::string_view bytes);
/// Ratings (JSON, JSONL, CSV) and battles.
bool ratings_property(std::string_view bytes);
bool recipe_property(std::string_view bytes);

struct Property {
  std::string_view name;
  PropertyFn check;
  /// Files and folders with seeds, relative to the repository; those of `tests/fuzz/corpus/<name>`
  /// come on top.
  std::vector<std::string_view> seeds;
};

/// A property that does not hold.
class Broken : public std::exception {
 public:
  explicit Broken(std::string what) : what_(std::move(what)) {}
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  std::string what_;
};

/// Throws Broken unless `holds`.
void require(bool holds, std::string_view what);

/// A folder of this process in memory where the machine has one; it disappears at the end of the
/// program.
const std::filesystem::path& scratch_folder();

/// Writes `bytes` to a file in the scratch folder, without the syncing of charm's own writer.
std::filesystem::path scratch_file(std::string_view name, std::string_view bytes);

}  // namespace charm::fuzz
