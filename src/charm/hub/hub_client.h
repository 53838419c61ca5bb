#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "charm/base/progress.h"
#include "charm/base/random.h"
#include "charm/hub/http_client.h"
#include "charm/hub/hub_cache.h"
#include "charm/hub/retry.h"

namespace charm::hub {

struct HubOptions {
  std::string endpoint = "https://huggingface.co";
  std::string token;                ///< sent to the endpoint only; never logged
  std::filesystem::path cache_dir;  ///< folder of models--... and datasets--...
  bool offline = false;             ///< use the cache only
  RetryPolicy retry;
  /// Aborts a download attempt that receives no data for this long; the next attempt resumes it.
  std::chrono::seconds stall_timeout{30};
};

/// From the environment, as in huggingface_hub: HF_ENDPOINT; HF_TOKEN; HF_HUB_CACHE or HF_HOME/hub
/// or XDG_CACHE_HOME/huggingface/hub or ~/.cache/huggingface/hub; `offline` or HF_HUB_OFFLINE.
HubOptions hub_options_of_environment(bool offline);

/// The Hub's HTTP API for one repository at one revision. Not thread-safe.
class HubRepo {
 public:
  HubRepo(const HubSource& source, RepoKind kind, const HubOptions& options);

  struct Listing {
    std::string commit;
    std::vector<std::string> files;
  };
  /// GET api/models/<repo>/revision/<revision>. Throws kNetwork if not found, gated, or unreachable
  /// (`unreachable()` is then true).
  Listing list();
  /// The revision (refs/pr/N) in which the Hub's conversion bot offers the weights as safetensors;
  /// empty if there is none. Of pull requests of anyone else nothing is taken.
  std::optional<std::string> conversion_revision();
  /// Whether the last error was that the Hub is unreachable.
  bool unreachable() const { return unreachable_; }

  /// Downloads one file into the cache and returns its path in the snapshot. Resumes an incomplete
  /// download with a Range request; verifies size and hash (SHA-256 of large files, git blob hash
  /// of others) before linking it.
  std::filesystem::path fetch(const std::string& commit, const std::string& file,
                              const ProgressFn& progress);

  const RepoCache& cache() const { return cache_; }

 private:
  struct FileInfo {
    std::string etag;
    std::int64_t size = -1;  ///< -1: unknown
  };
  std::string file_url(const std::string& commit, const std::string& file) const;
  HttpRequest request(const std::string& method, const std::string& url) const;
  [[noreturn]] void throw_failure(const HttpResponse& response, const std::string& what);
  FileInfo file_info(const std::string& commit, const std::string& file);
  void download(const std::string& url, const FileInfo& info, const std::string& file,
                PartialFile& partial, const ProgressFn& progress);

  HubSource source_;
  RepoKind kind_;
  HubOptions options_;
  RepoCache cache_;
  HttpClient client_;
  RandomStream random_;
  bool unreachable_ = false;
};

/// Downloads the model of `source` into the cache and returns its folder: config, tokenizer,
/// templates and weights, or an adapter's. Safetensors are preferred, also those of the Hub's
/// conversion bot where the branch has none, to pytorch_model.bin; a repository without weights is
/// an error (kInput). Offline, or if the Hub is unreachable, returns the cached
/// revision if it is complete; otherwise throws kNetwork.
std::filesystem::path fetch_model(const HubSource& source, const HubOptions& options,
                                  const ProgressFn& progress = {});

/// The snapshot that a repository's folder in the cache stands for (refs/main, or the only one);
/// other folders are returned as they are.
std::filesystem::path cached_snapshot(const std::filesystem::path& folder);

/// Downloads the data files of `source` and returns their folder (Parquet, those of `split` if
/// given; without any, the Parquet files that the Hub converts most datasets to), or the single
/// file that the source names or that the repository has as JSONL or JSON.
std::filesystem::path fetch_dataset(const HubSource& source,
                                    const std::optional<std::string>& split,
                                    const HubOptions& options, const ProgressFn& progress = {});

}  // namespace charm::hub
