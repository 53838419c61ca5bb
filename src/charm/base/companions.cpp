#include "charm/base/companions.h"

#include <sys/stat.h>
#include <unistd.h>

#include "charm/base/error.h"
#include "charm/base/files.h"

namespace charm {
namespace {

constexpr const char* kFolderName = ".charm";
constexpr int kMaxLevels = 3;

/// Absolute, without links and without a slash at the end, so that all spellings of a path agree.
fs::path canonical_folder(const fs::path& folder) {
  std::error_code code;
  fs::path path = fs::weakly_canonical(fs::absolute(folder), code);
  if (code) path = fs::absolute(folder).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

/// `path` relative to the current folder if `given` was.
fs::path spelled_as(const fs::path& given, const fs::path& path) {
  return given.is_absolute() ? path : fs::proximate(path);
}

bool is_on_one_file_system(const fs::path& a, const fs::path& b) {
  struct stat facts_a{}, facts_b{};
  return ::stat(a.c_str(), &facts_a) == 0 && ::stat(b.c_str(), &facts_b) == 0 &&
         facts_a.st_dev == facts_b.st_dev;
}

fs::path companion_folder_of_canonical(const fs::path& folder) {
  std::error_code code;
  fs::path name, root = folder;
  for (int level = 0; level < kMaxLevels && root.has_relative_path(); ++level) {
    name = name.empty() ? root.filename() : root.filename() / name;
    root = root.parent_path();
    const fs::path outside = root / kFolderName / name;
    if (fs::is_directory(outside, code)) return outside;
  }
  return folder / kFolderName;
}

}  // namespace

bool is_standard_output(const fs::path& output) { return output == "-"; }

fs::path link_target(fs::path path) {
  constexpr int kMaxLinks = 40;  // Linux's limit
  if (path.filename() == "." || path.filename() == "..")
    path = fs::absolute(path).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  std::error_code code;
  for (int count = 0; count < kMaxLinks && fs::is_symlink(path, code); ++count)
    path = path.parent_path() / fs::read_symlink(path, code);
  return path;
}

fs::path path_beside(const fs::path& output, std::string_view suffix) {
  fs::path path = output;
  if (!path.has_filename()) path = path.parent_path();
  path += suffix;
  return path;
}

fs::path companion_path(const fs::path& output, std::string_view suffix) {
  fs::path beside = path_beside(output, suffix);
  if (output.extension() != ".parquet") return beside;
  return companion_folder(output.has_parent_path() ? output.parent_path() : ".") /
         beside.filename();
}

fs::path companion_folder(const fs::path& folder) {
  return spelled_as(folder, companion_folder_of_canonical(canonical_folder(folder)));
}

void remove_if_empty(const fs::path& companions) {
  std::error_code ignored;
  if (companions.filename() == kFolderName) fs::remove(companions, ignored);
}

void keep_companions_outside(const fs::path& folder, const fs::path& root) {
  create_folders(folder);
  const fs::path inner = canonical_folder(folder), outer = canonical_folder(root);
  if (fs::is_directory(companion_folder_of_canonical(inner))) return;
  const fs::path name = inner.lexically_relative(outer);
  const bool is_inside = !name.empty() && *name.begin() != ".." && name != ".";
  const bool can_write = ::access(outer.c_str(), W_OK | X_OK) == 0;
  const bool outside = is_inside && can_write && is_on_one_file_system(inner, outer);
  create_folders(outside ? outer / kFolderName / name : inner / kFolderName);
}

void keep_companions_outside(const fs::path& folder) {
  keep_companions_outside(folder, canonical_folder(folder).parent_path());
}

}  // namespace charm
