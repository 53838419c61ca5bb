#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace charm::hub {

enum class RepoKind { kModel, kDataset };

/// `hub:OWNER/NAME[/FILE][@REVISION]`: a Hub repository, or a file of it, at a branch, tag or
/// commit.
struct HubSource {
  std::string repo;  ///< "OWNER/NAME", or "NAME" of the oldest ones
  std::string file;  ///< path in the repository; empty: all files needed
  std::string revision = "main";
};

/// Whether `text` starts with "hub:".
bool is_hub_source(std::string_view text);

/// Throws kUsage for anything else.
HubSource parse_hub_source(std::string_view text);

/// One repository in the cache of huggingface_hub, in its layout:
///
///     models--OWNER--NAME/refs/<revision>              commit of a branch or tag
///     models--OWNER--NAME/blobs/<etag>                 contents; <etag>.incomplete while
///     downloading models--OWNER--NAME/snapshots/<commit>/<file>    links to ../../blobs/<etag>
class RepoCache {
 public:
  RepoCache(const std::filesystem::path& cache_dir, const HubSource& source, RepoKind kind);

  /// The last known commit of `revision`; a full commit hash is returned as it is. Empty if
  /// unknown.
  std::optional<std::string> commit_of(const std::string& revision) const;
  void set_commit(const std::string& revision, const std::string& commit) const;

  std::filesystem::path snapshot(const std::string& commit) const {
    return folder_ / "snapshots" / commit;
  }
  std::filesystem::path blob(const std::string& etag) const { return folder_ / "blobs" / etag; }
  std::filesystem::path partial_blob(const std::string& etag) const {
    return folder_ / "blobs" / (etag + ".incomplete");
  }

  /// Links `file` of the snapshot to the blob, replacing an existing file.
  void link(const std::string& commit, const std::string& file, const std::string& etag) const;

 private:
  std::filesystem::path folder_;
};

/// An incomplete download, appended to by later attempts. Locked against other processes while
/// open. Not thread-safe.
class PartialFile {
 public:
  /// Blocks while another process holds the lock. Throws kIo.
  explicit PartialFile(const std::filesystem::path& path);
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  std::int64_t size() const { return size_; }
  void append(std::string_view bytes);
  void clear();

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  std::int64_t size_ = 0;
};

/// 40 lower-case hex digits.
bool is_commit(const std::string& text);

}  // namespace charm::hub
