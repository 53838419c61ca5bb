#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/support/http_server.h"

namespace charm::testing {

/// A fake Hub, with a second server as the storage host of large files. Repositories are
/// "models/OWNER/NAME" and "datasets/OWNER/NAME"; ETags (hashes) are set by the test.
class FakeHub {
 public:
  struct File {
    std::string content;
    std::string etag;    ///< SHA-256 of a large file, git's hash of a small one
    bool large = false;  ///< redirected to the storage host
  };
  struct Repo {
    std::string commit;
    std::map<std::string, File> files;
    std::set<std::string> revisions = {"main"};
    std::string needs_token;                ///< gated without this token
    std::map<std::string, File> converted;  ///< files of the revisions refs/pr/N
    std::string converted_commit;           ///< of those
    std::string discussions = "{}";         ///< reply to a list of pull requests

    const std::map<std::string, File>& files_at(const std::string& commit_or_revision) const {
      const bool is_converted = commit_or_revision.starts_with("refs/pr/") ||
                                (!converted.empty() && commit_or_revision == converted_commit);
      return is_converted ? converted : files;
    }
  };
  /// May change the reply to a download; `number` counts downloads from 1.
  using Fault = std::function<void(int number, const ServerRequest& request, ServerReply& reply)>;

  FakeHub()
      : store_([this](const ServerRequest& r) { return content(r, /*from_store=*/true); }),
        hub_([this](const ServerRequest& r) { return handle(r); }) {}

  std::map<std::string, Repo> repos;
  Fault fault;

  std::string url() const { return hub_.url(); }
  void stop() {
    hub_.stop();
    store_.stop();
  }
  int num_downloads() const { return num_downloads_; }
  std::vector<ServerRequest> hub_requests() const { return copy(hub_requests_); }
  std::vector<ServerRequest> store_requests() const { return copy(store_requests_); }

 private:
  std::vector<ServerRequest> copy(const std::vector<ServerRequest>& list) const {
    const std::lock_guard lock(mutex_);
    return list;
  }

  static ServerReply missing(const std::string& code, int status = 404) {
    return {.status = status,
            .body = R"({"error":"access denied"})",
            .headers = {{"X-Error-Code", code}}};
  }

  ServerReply handle(const ServerRequest& request) {
    {
      const std::lock_guard lock(mutex_);
      hub_requests_.push_back(request);
    }
    for (const auto& [name, repo] : repos) {
      const std::string plain = name.starts_with("models/") ? name.substr(7) : name;
      const std::string api = "/api/" + name + "/revision/", resolve = "/" + plain + "/resolve/";
      if (request.path.starts_with("/api/" + name + "/discussions"))
        return {.body = repo.discussions};
      if (request.path.rfind(api, 0) == 0)
        return describe(request, repo, request.path.substr(api.size()));
      if (request.path.rfind(resolve, 0) == 0)
        return resolved(request, repo, name, request.path.substr(resolve.size()));
    }
    return missing("RepoNotFound", 401);  // the Hub hides what does not exist
  }

  static bool allowed(const ServerRequest& request, const Repo& repo) {
    return repo.needs_token.empty() ||
           request.header("authorization") == "Bearer " + repo.needs_token;
  }

  static ServerReply describe(const ServerRequest& request, const Repo& repo,
                              const std::string& revision) {
    if (!allowed(request, repo)) return missing("GatedRepo", 403);
    if (repo.revisions.count(revision) == 0 && revision != repo.commit)
      return missing("RevisionNotFound");
    nlohmann::json siblings = nlohmann::json::array();
    for (const auto& [file, unused] : repo.files_at(revision))
      siblings.push_back({{"rfilename", file}});
    const std::string& commit =
        revision.starts_with("refs/pr/") ? repo.converted_commit : repo.commit;
    return {.body = nlohmann::json{{"id", "x"}, {"sha", commit}, {"siblings", siblings}}.dump()};
  }

  ServerReply resolved(const ServerRequest& request, const Repo& repo, const std::string& name,
                       const std::string& rest) {
    if (!allowed(request, repo)) return missing("GatedRepo", 401);
    const std::size_t slash = rest.find('/');
    const std::map<std::string, File>& files = repo.files_at(rest.substr(0, slash));
    const auto found = files.find(rest.substr(slash + 1));
    if (found == files.end()) return missing("EntryNotFound");
    const File& file = found->second;
    if (!file.large) {
      ServerReply reply = content(request, /*from_store=*/false, &file);
      reply.headers.emplace_back("ETag", "\"" + file.etag + "\"");
      reply.headers.emplace_back("X-Repo-Commit", repo.commit);
      return reply;
    }
    return {
        .status = 302,
        .headers = {{"Location", store_.url("/" + name + "/" + found->first + "?signature=abc")},
                    {"X-Linked-Etag", "\"" + file.etag + "\""},
                    {"X-Linked-Size", std::to_string(file.content.size())},
                    {"X-Repo-Commit", repo.commit},
                    {"ETag", "\"other\""}}};
  }

  const File* stored(const std::string& path) const {
    const std::string key = path.substr(1, path.find('?') - 1);
    for (const auto& [name, repo] : repos) {
      if (key.rfind(name + "/", 0) != 0) continue;
      for (const auto* files : {&repo.files, &repo.converted}) {
        const auto found = files->find(key.substr(name.size() + 1));
        if (found != files->end()) return &found->second;
      }
    }
    return nullptr;
  }

  ServerReply content(const ServerRequest& request, bool from_store, const File* file = nullptr) {
    if (from_store) {
      const std::lock_guard lock(mutex_);
      store_requests_.push_back(request);
    }
    if (file == nullptr) file = stored(request.path);
    if (file == nullptr) return {.status = 404};
    ServerReply reply{.body = file->content};
    if (request.method == "GET") {
      if (request.has("range")) {
        const std::size_t begin = std::stoul(request.header("range").substr(6));
        if (begin >= file->content.size()) return {.status = 416};
        reply.status = 206;
        reply.body = file->content.substr(begin);
        reply.headers.emplace_back("Content-Range", "bytes " + std::to_string(begin) + "-" +
                                                        std::to_string(file->content.size() - 1) +
                                                        "/" + std::to_string(file->content.size()));
      }
      if (fault)
        fault(++num_downloads_, request, reply);
      else
        ++num_downloads_;
    }
    return reply;
  }

  mutable std::mutex mutex_;
  std::vector<ServerRequest> hub_requests_;
  std::vector<ServerRequest> store_requests_;
  std::atomic<int> num_downloads_{0};
  HttpServer store_;
  HttpServer hub_;  // last: its threads use the other members
};

}  // namespace charm::testing
