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

/// An ETag without W/ and quotes.
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
  // Without this some mirrors compress texts, and neither size nor Range would fit.
  request.headers = {{"Accept-Encoding", "identity"}};
  return request;
}

std::string HubRepo::file_url(const std::string& commit, const std::string& file) const {
  return options_.endpoint + (kind_ == RepoKind::kDataset ? "/datasets/" : "/") + source_.repo +
         "/resolve/" + escape_path(commit) + "/" + escape_path(file);
}

void HubRepo::refuse(const HttpResponse& response, const std::string& what) {
  unreachable_ = !response.error.empty() || response.status >= 500;
  const std::string repo = fmt::format("hub:{}@{}", source_.repo, source_.revision);
  const std::string_view code = response.header("x-error-code");
  const std::string token = options_.token.empty() ? "no token was sent; set HF_TOKEN"
                                                   : "the token in HF_TOKEN is not enough";
  if (code == "GatedRepo" ||
      ((response.status == 401 || response.status == 403) && code != "RepoNotFound")) {
    throw Error(ErrorKind::kNetwork,
                "{}: access is restricted ({}): {}; ask for access on the repository's page", repo,
                token, describe(response));
  }
  if (code == "RevisionNotFound")
    throw Error(ErrorKind::kNetwork, "{}: there is no revision '{}'", repo, source_.revision);
  if (response.status == 404 || code == "RepoNotFound" || code == "EntryNotFound") {
    throw Error(ErrorKind::kNetwork,
                "{}: {} is not there: {} (spelling? private repositories need HF_TOKEN)", repo,
                what, describe(response));
  }
  throw Error(ErrorKind::kNetwork, "{}: {} cannot be had from {}: {}", repo, what,
              shown_url(options_.endpoint), describe(response));
}

HubRepo::Listing HubRepo::list() {
  const std::string url = fmt::format("{}/api/{}/{}/revision/{}", options_.endpoint,
                                      kind_ == RepoKind::kDataset ? "datasets" : "models",
                                      source_.repo, escape_path(source_.revision));
  HttpRequest ask = request("GET", url);
  ask.redirects = Redirects::kSameHost;
  const HttpResponse response = ask_with_retries(client_, ask, options_.retry, random_);
  if (!response.error.empty() || response.status != 200) refuse(response, "the repository");
  const auto json = nlohmann::json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  Listing listing;
  if (!json.is_object() || !json.contains("sha") || !json["sha"].is_string() ||
      !json.contains("siblings") || !json["siblings"].is_array()) {
    throw Error(
        ErrorKind::kNetwork,
        "{}: expected the description of a repository (sha, siblings), found something else",
        shown_url(url));
  }
  listing.commit = json["sha"].get<std::string>();
  if (!is_commit(listing.commit))
    throw Error(ErrorKind::kNetwork, "{}: '{}' is no commit", shown_url(url), listing.commit);
  for (const auto& sibling : json["siblings"]) {
    if (!sibling.is_object() || !sibling.contains("rfilename") || !sibling["rfilename"].is_string())
      continue;
    const std::string name = sibling["rfilename"].get<std::string>();
    // A name that leads out of the snapshot is no file of a repository.
    if (name.empty() || name.front() == '/' ||
        fs::path(name).lexically_normal() != fs::path(name) || name.starts_with(".."))
      continue;
    listing.files.push_back(name);
  }
  return listing;
}

HubRepo::FileFacts HubRepo::facts_of(const std::string& commit, const std::string& file) {
  HttpRequest ask = request("HEAD", file_url(commit, file));
  ask.redirects = Redirects::kSameHost;  // the headers of the Hub itself count, not those of the
                                         // host that stores large files
  const HttpResponse response = ask_with_retries(client_, ask, options_.retry, random_);
  if (!response.error.empty() || response.status >= 400) refuse(response, "'" + file + "'");
  FileFacts facts;
  const std::string_view linked = response.header("x-linked-etag");
  facts.etag = plain_etag(linked.empty() ? response.header("etag") : linked);
  const std::string_view size = response.header("x-linked-size");
  facts.size = number_of(!size.empty() ? size
                                       : (response.status == 200 ? response.header("content-length")
                                                                 : std::string_view()));
  if (facts.etag.empty() || facts.etag.find('/') != std::string::npos) {
    throw Error(ErrorKind::kNetwork,
                "{}: the answer has no usable ETag; is {} a mirror of the Hub?",
                shown_url(response.url), options_.endpoint);
  }
  return facts;
}

void HubRepo::download(const std::string& url, const FileFacts& facts, const std::string& file,
                       PartialFile& partial, const ProgressFn& progress) {
  int failures = 0;
  while (facts.size < 0 || partial.size() < facts.size) {
    const std::int64_t begin = partial.size();
    HttpRequest get = request("GET", url);
    get.redirects = Redirects::kAll;
    get.timeout = std::chrono::milliseconds(0);
    get.stall_timeout = options_.stall_timeout;
    if (begin > 0) get.headers.emplace_back("Range", fmt::format("bytes={}-", begin));
    bool first = true;
    get.on_body = [&](int status, std::string_view piece) {
      if (first && status == 200 && begin > 0)
        partial.clear();  // the server does not know ranges: from the start
      first = false;
      partial.append(piece);
      if (progress)
        progress({"downloading " + file, partial.size(), std::max<std::int64_t>(facts.size, 0),
                  "bytes", ""});
      return facts.size < 0 || partial.size() <= facts.size;
    };
    const HttpResponse response = client_.ask(get);
    if (facts.size >= 0 && partial.size() > facts.size) {
      const std::int64_t found = partial.size();
      partial.clear();
      throw Error(ErrorKind::kNetwork,
                  "{}: more than the {} bytes that were announced (at least {})", shown_url(url),
                  facts.size, found);
    }
    if (response.error.empty() && (response.status == 200 || response.status == 206)) {
      if (facts.size < 0 || partial.size() == facts.size) return;
    } else if (response.status == 416) {
      partial.clear();  // what is there is not a beginning of the file
    } else if (!is_transient(response)) {
      refuse(response, "'" + file + "'");
    }
    failures = partial.size() > begin ? 0 : failures + 1;
    if (failures > options_.retry.max_retries) refuse(response, "'" + file + "'");
    const auto delay = retry_delay(options_.retry, failures, response, random_);
    log::debug("{}: {} after {} bytes; going on in {} ms", file, describe(response), partial.size(),
               delay.count());
    std::this_thread::sleep_for(delay);
  }
}

fs::path HubRepo::fetch(const std::string& commit, const std::string& file,
                        const ProgressFn& progress) {
  const FileFacts facts = facts_of(commit, file);
  const fs::path blob = cache_.blob(facts.etag);
  const auto link = [&] {
    cache_.link(commit, file, facts.etag);
    return cache_.snapshot(commit) / file;
  };
  std::error_code error;
  const auto is_there = [&] {
    return fs::exists(blob, error) &&
           (facts.size < 0 ||
            fs::file_size(blob, error) == static_cast<std::uintmax_t>(facts.size));
  };
  if (is_there()) return link();
  const std::string url = file_url(commit, file);
  const fs::path partial = cache_.partial_blob(facts.etag);
  PartialFile content(partial);
  if (is_there()) {  // another process brought it while this one waited
    fs::remove(partial, error);
    return link();
  }
  for (int attempt = 0;; ++attempt) {
    download(url, facts, file, content, progress);
    std::string found = facts.etag;  // other ETags are no hash of the content
    if (is_hex(facts.etag, 64)) found = sha256_file(partial);
    if (is_hex(facts.etag, 40)) found = git_blob_sha1(partial);
    if (found == facts.etag) {
      publish(partial, blob);
      return link();
    }
    content.clear();
    if (attempt > 0) {
      fs::remove(partial, error);
      throw Error(
          ErrorKind::kNetwork,
          "hub:{}: '{}' arrives with other bytes than the Hub announces: hash {}, expected {}",
          source_.repo, file, found, facts.etag);
    }
    log::warning("{}: the downloaded bytes have another hash than announced; downloading once more",
                 file);
  }
}

}  // namespace charm::hub
