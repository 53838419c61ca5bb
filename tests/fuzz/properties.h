#pragma once

#include <exception>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "charm/base/error.h"
#include "charm/base/random.h"

// Properties of the readers for arbitrary bytes: reading returns a value or throws a charm::Error
// that user input may cause, and values survive a write-read round trip. One function per file
// format, used by `property_test` with seeds and mutations and by the libFuzzer programs.
namespace charm::fuzz {

/// Returns whether the bytes were accepted. Any exception is a bug: an error of a kind that input
/// must not cause, or `Broken`.
using PropertyFn = bool (*)(std::string_view bytes);

bool safetensors_property(std::string_view bytes);
/// A file of torch.save.
bool torch_file_property(std::string_view bytes);
bool config_property(std::string_view bytes);
/// tokenizer.json, a NUL and a text; without a NUL the bytes are a text for our test tokenizers.
bool tokenizer_property(std::string_view bytes);
/// A chat template, a NUL and a user message.
bool template_property(std::string_view bytes);
/// Prompts, responses, scores and preferences in any format.
bool rows_property(std::string_view bytes);
/// Ratings (JSON, JSONL, CSV) and battles.
bool ratings_property(std::string_view bytes);
bool recipe_property(std::string_view bytes);

struct Property {
  std::string_view name;
  PropertyFn check;
  /// Files and folders with seeds, relative to the repository, besides `tests/fuzz/corpus/<name>`.
  std::vector<std::string_view> seeds;
};

/// A violated property.
class Broken : public std::exception {
 public:
  explicit Broken(std::string what) : what_(std::move(what)) {}
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  std::string what_;
};

/// Throws Broken unless `holds`.
void require(bool holds, std::string_view what);

/// A temporary folder of this process, in memory if possible, deleted at exit.
const std::filesystem::path& scratch_folder();

/// Writes `bytes` to a file in the scratch folder, without fsync.
std::filesystem::path scratch_file(std::string_view name, std::string_view bytes);

/// Runs `read`; false if it throws an error of one of these kinds.
template <typename Read>
bool accepts(const Read& read, std::initializer_list<ErrorKind> kinds = {ErrorKind::kInput}) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    for (const ErrorKind kind : kinds) {
      if (error.kind() == kind) return false;
    }
    throw;
  }
}

/// Overwrites, truncates, duplicates, erases or inserts at one to four random positions.
std::string mutate(std::string bytes, RandomStream& random);

}  // namespace charm::fuzz
