#include "charm/hub/hub_client.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/hashing.h"
#include "charm/base/log.h"
#include "charm/hub/url.h"

namespace charm::hub {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_on(std::string value) {
  std::transform(value.begin(), value.end(), value.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

fs::path cache_of_environment() {
  if (const std::string cache = variable("HF_HUB_CACHE"); !cache.empty()) return cache;
  if (const std::string home = variable("HF_HOME"); !home.empty()) return fs::path(home) / "hub";
  if (const std::string xdg = variable("XDG_CACHE_HOME"); !xdg.empty())
    return fs::path(xdg) / "huggingface" / "hub";
  const std::string home = variable("HOME");
  return (home.empty() ? fs::temp_directory_path() : fs::path(home)) / ".cache" / "huggingface" /
         "hub";
}

/// Strips W/ and quotes.
std::string plain_etag(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"')
    etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

bool is_hex(const std::string& text, std::size_t length) {
  return text.size() == length && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::int64_t number_of(std::string_view text) {
  std::int64_t value = -1;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size() ? value : -1;
}

}  // namespace

HubOptions hub_options_of_environment(bool offline) {
  HubOptions options;
  if (std::string endpoint = variable("HF_ENDPOINT"); !endpoint.empty()) {
    while (endpoint.ends_with('/')) endpoint.pop_back();
    options.endpoint = endpoint;
  }
  options.token = variable("HF_TOKEN");
  while (!options.token.empty() &&
         std::isspace(static_cast<unsigned char>(options.token.back())) != 0)
    options.token.pop_back();
  options.cache_dir = cache_of_environment();
  options.offline = offline || is_on(variable("HF_HUB_OFFLINE"));
  return options;
}

HubRepo::HubRepo(const HubSource& source, RepoKind kind, const HubOptions& options)
    : source_(source),
      kind_(kind),
      options_(options),
      cache_(options.cache_dir, source, kind),
      random_(0, "hub.retry") {
  parse_url(options_.endpoint);
}

HttpRequest HubRepo::request(const std::string& method, const std::string& url) const {
  HttpRequest request;
  request.method = method;
  request.url = url;
  request.bearer_token = options_.token;
  request.timeout = std::chrono::milliseconds(60'000);
  // Some mirrors compress texts otherwise, which breaks size checks and Range requests.
  request.headers = {{"Accept-Encoding", "identity"}};
  return request;
}

std::string HubRepo::file_url(const std::string& commit, const std::string& file) const {
  return options_.endpoint + (kind_ == RepoKind::kDataset ? "/datasets/" : "/") + source_.repo +
         "/resolve/" + escape_path(commit) + "/" + escape_path(file);
}

void HubRepo::throw_failure(const HttpResponse& response, const std::string& what) {
  unreachable_ = !response.error.empty() || response.status >= 500;
  const std::string repo = fmt::format("hub:{}@{}", source_.repo, source_.revision);
  const std::string_view code = response.header("x-error-code");
  const std::string token = options_.token.empty() ? "no token was sent; set HF_TOKEN"
                                                   : "the token in HF_TOKEN has no access";
  if (code == "GatedRepo" ||
      ((response.status == 401 || response.status == 403) && code != "RepoNotFound")) {
    throw Error(ErrorKind::kNetwork,
                "{}: access is restricted ({}): {}; request access on the repository's page", repo,
                token, describe(response));
  }
  if (code == "RevisionNotFound")
    throw Error(ErrorKind::kNetwork, "{}: has no revision '{}'", repo, source_.revision);
  if (response.status == 404 || code == "RepoNotFound" || code == "EntryNotFound") {
    throw Error(ErrorKind::kNetwork,
                "{}: {} not found: {} (check the spelling; private repositories need HF_TOKEN)",
                repo, what, describe(response));
  }
  throw Error(ErrorKind::kNetwork, "{}: cannot download {} from {}: {}", repo, what,
              redacted_url(options_.endpoint), describe(response));
}

HubRepo::Listing HubRepo::list() {
  const std::string url = fmt::format("{}/api/{}/{}/revision/{}", options_.endpoint,
                                      kind_ == RepoKind::kDataset ? "datasets" : "models",
                                      source_.repo, escape_path(source_.revision));
  HttpRequest http = request("GET", url);
  http.redirects = Redirects::kSameHost;
  const HttpResponse response = send_with_retries(client_, http, options_.retry, random_);
  if (!response.error.empty() || response.status != 200) throw_failure(response, "the repository");
  const auto json = nlohmann::json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  Listing listing;
  if (!json.is_object() || !json.contains("sha") || !json["sha"].is_string() ||
      !json.contains("siblings") || !json["siblings"].is_array()) {
    throw Error(ErrorKind::kNetwork, "{}: expected the description of a repository (sha, siblings)",
                redacted_url(url));
  }
  listing.commit = json["sha"].get<std::string>();
  if (!is_commit(listing.commit))
    throw Error(ErrorKind::kNetwork, "{}: '{}' is not a commit hash", redacted_url(url),
                listing.commit);
  for (const auto& sibling : json["siblings"]) {
    if (!sibling.is_object() || !sibling.contains("rfilename") || !sibling["rfilename"].is_string())
      continue;
    const std::string name = sibling["rfilename"].get<std::string>();
    // Names outside of the snapshot are not valid file names.
    if (name.empty() || name.front() == '/' ||
        fs::path(name).lexically_normal() != fs::path(name) || name.starts_with(".."))
      continue;
    listing.files.push_back(name);
  }
  return listing;
}

std::optional<std::string> HubRepo::conversion_revision() {
  // As transformers 5.17 does (safetensors_conversion.py, previous_pr).
  constexpr std::string_view kAuthor = "SFconvertbot";
  constexpr std::string_view kTitle = "Adding `safetensors` variant of this model";
  HttpRequest http =
      request("GET", fmt::format("{}/api/models/{}/discussions?type=pull_request&author={}",
                                 options_.endpoint, source_.repo, kAuthor));
  http.redirects = Redirects::kSameHost;
  const HttpResponse response = send_with_retries(client_, http, options_.retry, random_);
  if (!response.error.empty() || response.status != 200) return std::nullopt;
  const auto json = nlohmann::json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("discussions") || !json["discussions"].is_array())
    return std::nullopt;
  for (const auto& discussion : json["discussions"]) {
    if (!discussion.is_object()) continue;
    const auto author = discussion.value("author", nlohmann::json());
    const bool is_conversion = author.is_object() &&
                               author.value("name", nlohmann::json()) == kAuthor &&
                               discussion.value("title", nlohmann::json()) == kTitle &&
                               discussion.value("isPullRequest", nlohmann::json()) == true &&
                               discussion.value("num", nlohmann::json()).is_number_unsigned();
    if (is_conversion) return fmt::format("refs/pr/{}", discussion["num"].get<std::uint64_t>());
  }
  return std::nullopt;
}

HubRepo::FileInfo HubRepo::file_info(const std::string& commit, const std::string& file) {
  HttpRequest http = request("HEAD", file_url(commit, file));
  http.redirects = Redirects::kSameHost;  // use the headers of the Hub, not those of the storage
                                          // host of large files
  const HttpResponse response = send_with_retries(client_, http, options_.retry, random_);
  if (!response.error.empty() || response.status >= 400) throw_failure(response, "'" + file + "'");
  FileInfo info;
  const std::string_view linked = response.header("x-linked-etag");
  info.etag = plain_etag(linked.empty() ? response.header("etag") : linked);
  const std::string_view size = response.header("x-linked-size");
  info.size = number_of(!size.empty() ? size
                                      : (response.status == 200 ? response.header("content-length")
                                                                : std::string_view()));
  if (info.etag.empty() || info.etag.find('/') != std::string::npos) {
    throw Error(ErrorKind::kNetwork,
                "{}: the response has no usable ETag; is {} a mirror of the Hub?",
                redacted_url(response.url), options_.endpoint);
  }
  return info;
}

void HubRepo::download(const std::string& url, const FileInfo& info, const std::string& file,
                       PartialFile& partial, const ProgressFn& progress) {
  int failures = 0;
  while (info.size < 0 || partial.size() < info.size) {
    const std::int64_t begin = partial.size();
    HttpRequest get = request("GET", url);
    get.redirects = Redirects::kAll;
    get.timeout = std::chrono::milliseconds(0);
    get.stall_timeout = options_.stall_timeout;
    if (begin > 0) get.headers.emplace_back("Range", fmt::format("bytes={}-", begin));
    bool first = true;
    get.on_body = [&](int status, std::string_view chunk) {
      if (first && status == 200 && begin > 0)
        partial.clear();  // the server ignores ranges: start over
      first = false;
      partial.append(chunk);
      if (progress)
        progress({"downloading " + file, partial.size(), std::max<std::int64_t>(info.size, 0),
                  "bytes", ""});
      return info.size < 0 || partial.size() <= info.size;
    };
    const HttpResponse response = client_.send(get);
    if (info.size >= 0 && partial.size() > info.size) {
      const std::int64_t found = partial.size();
      partial.clear();
      throw Error(ErrorKind::kNetwork, "{}: expected {} bytes, received at least {}",
                  redacted_url(url), info.size, found);
    }
    if (response.error.empty() && (response.status == 200 || response.status == 206)) {
      if (info.size < 0 || partial.size() == info.size) return;
    } else if (response.status == 416) {
      partial.clear();  // not a prefix of the file
    } else if (!is_transient(response)) {
      throw_failure(response, "'" + file + "'");
    }
    failures = partial.size() > begin ? 0 : failures + 1;
    if (failures > options_.retry.max_retries) throw_failure(response, "'" + file + "'");
    const auto delay = retry_delay(options_.retry, failures, response, random_);
    log::debug("{}: {} after {} bytes; resuming in {} ms", file, describe(response), partial.size(),
               delay.count());
    std::this_thread::sleep_for(delay);
  }
}

fs::path HubRepo::fetch(const std::string& commit, const std::string& file,
                        const ProgressFn& progress) {
  const FileInfo info = file_info(commit, file);
  const fs::path blob = cache_.blob(info.etag);
  const auto link = [&] {
    cache_.link(commit, file, info.etag);
    return cache_.snapshot(commit) / file;
  };
  std::error_code error;
  const auto is_cached = [&] {
    return fs::exists(blob, error) &&
           (info.size < 0 || fs::file_size(blob, error) == static_cast<std::uintmax_t>(info.size));
  };
  if (is_cached()) return link();
  const std::string url = file_url(commit, file);
  const fs::path partial = cache_.partial_blob(info.etag);
  PartialFile content(partial);
  if (is_cached()) {  // another process downloaded it meanwhile
    fs::remove(partial, error);
    return link();
  }
  for (int attempt = 0;; ++attempt) {
    download(url, info, file, content, progress);
    std::string found = info.etag;  // other ETags are not hashes of the content
    if (is_hex(info.etag, 64)) found = sha256_file(partial);
    if (is_hex(info.etag, 40)) found = git_blob_sha1(partial);
    if (found == info.etag) {
      publish(partial, blob);
      return link();
    }
    content.clear();
    if (attempt > 0) {
      fs::remove(partial, error);
      throw Error(ErrorKind::kNetwork, "hub:{}: '{}' is corrupt: downloaded hash {}, expected {}",
                  source_.repo, file, found, info.etag);
    }
    log::warning("{}: hash mismatch; downloading again", file);
  }
}

}  // namespace charm::hub
