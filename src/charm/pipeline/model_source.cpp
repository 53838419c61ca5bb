#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "charm/base/error.h"
#include "charm/base/strings.h"
#include "charm/pipeline/sources.h"

namespace charm::pipeline {
namespace {

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

/// OWNER/NAME, as the Hub names repositories.
bool looks_like_repository(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == text.size()) return false;
  return text.front() != '.' && text.front() != '~' &&
         text.find('/', slash + 1) == std::string::npos;
}

std::vector<std::string> subfolders(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator next(folder.empty() ? "." : folder, error), end;
       !error && next != end; next.increment(error)) {
    if (next->is_directory(error)) names.push_back(next->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

[[noreturn]] void throw_missing(const fs::path& model, const std::string& written) {
  if (looks_like_repository(written) && !is_folder(model.parent_path())) {
    throw Error(ErrorKind::kIo,
                "{0}: no such folder; a model of the Hugging Face Hub is written hub:{0}", written);
  }
  const std::vector<std::string> near =
      nearest_names(model.filename().string(), subfolders(model.parent_path()));
  throw Error(ErrorKind::kIo, "{}: no such folder; expected a Hugging Face model folder{}",
              model.string(),
              near.empty() ? "" : fmt::format(", folders there: {}", fmt::join(near, ", ")));
}

}  // namespace

void require_model_folder(const fs::path& model, const std::string& written) {
  if (!is_there(model)) throw_missing(model, written);
  if (!is_folder(model)) {
    throw Error(ErrorKind::kIo,
                "{}: is a file; expected the Hugging Face model folder with config.json, "
                "tokenizer.json and weights",
                model.string());
  }
  if (is_there(model / "config.json") || is_there(model / "adapter_config.json")) return;
  std::vector<std::string> inside;
  for (const std::string& name : subfolders(model)) {
    if (is_there(model / name / "config.json")) inside.push_back((model / name).string());
  }
  throw Error(ErrorKind::kIo, "{}: holds no config.json; expected a Hugging Face model folder{}",
              model.string(),
              inside.empty() ? "" : fmt::format("; models in it: {}", fmt::join(inside, ", ")));
}

}  // namespace charm::pipeline
