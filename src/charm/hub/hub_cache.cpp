#include "charm/hub/hub_cache.h"

#include <algorithm>

#include "charm/base/error.h"
#include "charm/base/files.h"

namespace charm::hub {
namespace {

std::string folder_name(const HubSource& source, RepoKind kind) {
  std::string name = kind == RepoKind::kModel ? "models--" : "datasets--";
  for (const char c : source.repo) name += c == '/' ? "--" : std::string(1, c);
  return name;
}

}  // namespace

bool is_commit(const std::string& text) {
  return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

RepoCache::RepoCache(const fs::path& cache_dir, const HubSource& source, RepoKind kind)
    : folder_(cache_dir / folder_name(source, kind)) {}

std::optional<std::string> RepoCache::commit_of(const std::string& revision) const {
  if (is_commit(revision)) return revision;
  const fs::path ref = folder_ / "refs" / revision;
  std::error_code error;
  if (!fs::exists(ref, error)) return std::nullopt;
  std::string commit = read_file(ref);
  while (!commit.empty() && (commit.back() == '\n' || commit.back() == ' ')) commit.pop_back();
  return is_commit(commit) ? std::optional<std::string>(commit) : std::nullopt;
}

void RepoCache::set_commit(const std::string& revision, const std::string& commit) const {
  if (!is_commit(revision)) write_file(folder_ / "refs" / revision, commit);
}

void RepoCache::link(const std::string& commit, const std::string& file,
                     const std::string& etag) const {
  const fs::path place = snapshot(commit) / file;
  create_folders(place.parent_path());
  const fs::path target = blob(etag).lexically_relative(place.parent_path());
  std::error_code error;
  if (fs::is_symlink(place, error) && fs::read_symlink(place, error) == target) return;
  const fs::path partial = partial_path(place);
  fs::remove(partial, error);
  fs::create_symlink(target, partial, error);
  if (!error) fs::rename(partial, place, error);
  if (error) throw Error(ErrorKind::kIo, "{}: cannot be made: {}", place.string(), error.message());
}

}  // namespace charm::hub
