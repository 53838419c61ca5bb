#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "charm/hub/hub_source.h"

namespace charm::hub {

/// One repository in the cache layout of huggingface_hub, which shares it with us:
///
///     models--OWNER--NAME/refs/<revision>                    the commit a branch or tag stood at
///     models--OWNER--NAME/blobs/<etag>                       contents; <etag>.incomplete while
///     downloading models--OWNER--NAME/snapshots/<commit>/<file>          links to
///     ../../blobs/<etag>
class RepoCache {
 public:
  RepoCache(const std::filesystem::path& cache_dir, const HubSource& source, RepoKind kind);

  /// The commit that `revision` stood at when it was last asked for; a full commit hash is itself.
  /// Empty where unknown.
  std::optional<std::string> commit_of(const std::string& revision) const;
  void set_commit(const std::string& revision, const std::string& commit) const;

  std::filesystem::path snapshot(const std::string& commit) const {
    return folder_ / "snapshots" / commit;
  }
  std::filesystem::path blob(const std::string& etag) const { return folder_ / "blobs" / etag; }
  std::filesystem::path partial_blob(const std::string& etag) const {
    return folder_ / "blobs" / (etag + ".incomplete");
  }

  /// Makes `file` of the snapshot a link to the blob; replaces what is there.
  void link(const std::string& commit, const std::string& file, const std::string& etag) const;

 private:
  std::filesystem::path folder_;
};

/// 40 lower-case hex digits.
bool is_commit(const std::string& text);

}  // namespace charm::hub
