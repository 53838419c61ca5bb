#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "charm/base/progress.h"
#include "charm/base/random.h"
#include "charm/hub/http_client.h"
#include "charm/hub/hub_cache.h"
#include "charm/hub/hub_source.h"
#include "charm/hub/partial_file.h"
#include "charm/hub/retry.h"

namespace charm::hub {

struct HubOptions {
  std::string endpoint = "https://huggingface.co";
  std::string token;                ///< sent to the endpoint alone; never shown
  std::filesystem::path cache_dir;  ///< folder of models--... and datasets--...
  bool offline = false;             ///< take everything from the cache
  RetryPolicy retry;
  /// Ends a download attempt that gets no byte for this long; the next goes on where it stopped.
  std::chrono::seconds stall_timeout{30};
};

/// As huggingface_hub reads it: HF_ENDPOINT, HF_TOKEN, HF_HUB_CACHE or HF_HOME/hub or
/// XDG_CACHE_HOME/huggingface/hub or
/// ~/.cache/huggingface/hub, HF_HUB_OFFLINE. `offline` adds to the last.
HubOptions hub_options_of_environment(bool offline);

/// The Hub's HTTP interface for one repository at one revision. Not thread-safe.
class HubRepo {
 public:
  HubRepo(const HubSource& source, RepoKind kind, const HubOptions& options);

  struct Listing {
    std::string commit;
    std::vector<std::string> files;
  };
  /// GET api/models/<repo>/revision/<revision>. Throws kNetwork: not found, gated, or not reachable
  /// (`is_unreachable` of the message's cause is then true).
  Listing list();
  /// Whether the last failure was that the Hub could not be reached at all.
  bool unreachable() const { return unreachable_; }

  /// Brings one file into the cache and returns its place in the snapshot. An earlier, unfinished
  /// download goes on with a Range request; the size and the hash (SHA-256 of large files, git's
  /// blob hash of others) are checked before the file counts.
  std::filesystem::path fetch(const std::string& commit, const std::string& file,
                              const ProgressFn& progress);

  const RepoCache& cache() const { return cache_; }

 private:
  struct FileFacts {
    std::string etag;
    std::int64_t size = -1;  ///< -1: unknown
  };
  std::string file_url(const std::string& commit, const std::string& file) const;
  HttpRequest request(const std::string& method, const std::string& url) const;
  [[noreturn]] void refuse(const HttpResponse& response, const std::string& what);
  FileFacts facts_of(const std::string& commit, const std::string& file);
  void download(const std::string& url, const FileFacts& facts, const std::string& file,
                PartialFile& partial, const ProgressFn& progress);

  HubSource source_;
  RepoKind kind_;
  HubOptions options_;
  RepoCache cache_;
  HttpClient client_;
  RandomStream random_;
  bool unreachable_ = false;
};

}  // namespace charm::hub
