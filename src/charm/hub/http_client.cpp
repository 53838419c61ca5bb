#include "charm/hub/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <exception>
#include <list>
#include <map>
#include <mutex>

#include "charm/base/error.h"
#include "charm/base/strings.h"
#include "charm/base/version.h"
#include "charm/hub/url.h"

namespace charm::hub {
namespace {

using Clock = std::chrono::steady_clock;

struct EasyCleanup {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct MultiCleanup {
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};
struct ListCleanup {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListCleanup>;

void append(HeaderList& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) throw Error(ErrorKind::kResource, "out of memory");
  (void)list.release();
  list.reset(longer);
}

/// Hosts that bypass the proxy: no_proxy of the environment and loopback addresses.
std::string hosts_without_proxy() {
  std::string hosts = "127.0.0.1,localhost,::1,[::1]";
  for (const char* name : {"no_proxy", "NO_PROXY"}) {
    if (const char* given = std::getenv(name); given != nullptr && *given != '\0') {
      return std::string(given) == "*" ? "*" : std::string(given) + "," + hosts;
    }
  }
  return hosts;
}

void initialise_curl() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
      throw Error(ErrorKind::kInternal, "libcurl cannot be started");
  });
}

constexpr int kMaxRedirects = 10;
constexpr curl_off_t kMaxRetryAfterSeconds = 1'000'000;

/// A request in flight, with everything libcurl points to.
struct Transfer {
  HttpRequest request;
  HttpClient::DoneFn done;
  std::string url;        // of the request, or of the last redirect to the same host
  int num_redirects = 0;  // to the same host
  HttpResponse response;
  HeaderList headers;
  std::unique_ptr<CURL, EasyCleanup> easy;
  char error_text[CURL_ERROR_SIZE] = {};
  bool body_rejected = false;  // too long, or rejected by on_body
  std::exception_ptr thrown;   // by on_body
};

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line(data, size * count);
  if (line.starts_with("HTTP/")) {  // a new response starts, after a 100 or a proxy's
    transfer.response.headers.clear();
    return line.size();
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return line.size();
  std::string name = lower_ascii(line.substr(0, colon));
  std::string_view value = line.substr(colon + 1);
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!value.empty() && is_blank(value.front())) value.remove_prefix(1);
  while (!value.empty() && is_blank(value.back())) value.remove_suffix(1);
  transfer.response.headers.emplace_back(std::move(name), std::string(value));
  return line.size();
}

std::size_t on_data(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view chunk(data, size * count);
  long status = 0;
  curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
  bool accepted = true;
  try {
    if (transfer.request.on_body && status >= 200 && status < 300) {
      accepted = transfer.request.on_body(static_cast<int>(status), chunk);
    } else {
      accepted = transfer.response.body.size() + chunk.size() <= transfer.request.max_body_bytes;
      if (accepted) transfer.response.body.append(chunk);
    }
  } catch (...) {  // must not propagate through libcurl
    transfer.thrown = std::current_exception();
    accepted = false;
  }
  transfer.body_rejected = !accepted;
  return accepted ? chunk.size() : 0;
}

bool is_https(const std::string& url) { return lower_ascii(url.substr(0, 6)) == "https:"; }

template <typename Value>
void set(CURL* easy, CURLoption option, Value value) {
  if (const CURLcode code = curl_easy_setopt(easy, option, value); code != CURLE_OK) {
    throw Error(ErrorKind::kInternal, "libcurl refuses option {}: {}", static_cast<int>(option),
                curl_easy_strerror(code));
  }
}

/// Sets up the handle for `transfer.target`; called again for every redirect.
void prepare(Transfer& transfer, const std::string& no_proxy, const std::string& ca_file) {
  CURL* easy = transfer.easy.get();
  curl_easy_reset(easy);
  transfer.response = {};
  transfer.error_text[0] = '\0';
  transfer.headers.reset();
  for (const auto& [name, value] : transfer.request.headers)
    append(transfer.headers, fmt::format("{}: {}", name, value));
  append(transfer.headers, "Expect:");  // no round trip before a POST's body
  // libcurl drops this header on redirects to another scheme, host or port.
  if (!transfer.request.bearer_token.empty())
    append(transfer.headers, "Authorization: Bearer " + transfer.request.bearer_token);
  set(easy, CURLOPT_URL, transfer.url.c_str());
  set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  set(easy, CURLOPT_NOSIGNAL, 1L);
  if (transfer.request.redirects == Redirects::kAll) {
    set(easy, CURLOPT_FOLLOWLOCATION, 1L);
    set(easy, CURLOPT_MAXREDIRS, static_cast<long>(kMaxRedirects));
    set(easy, CURLOPT_REDIR_PROTOCOLS_STR, is_https(transfer.url) ? "https" : "http,https");
    set(easy, CURLOPT_POSTREDIR, static_cast<long>(CURL_REDIR_POST_301 | CURL_REDIR_POST_302));
  }
  if (!ca_file.empty()) set(easy, CURLOPT_CAINFO, ca_file.c_str());
  set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(easy, CURLOPT_HTTPHEADER, transfer.headers.get());
  set(easy, CURLOPT_USERAGENT, fmt::format("charm/{}", kVersion).c_str());
  set(easy, CURLOPT_NOPROXY, no_proxy.c_str());
  set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(transfer.request.connect_timeout.count()));
  set(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(transfer.request.timeout.count()));
  if (transfer.request.stall_timeout.count() > 0) {
    set(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(easy, CURLOPT_LOW_SPEED_TIME, static_cast<long>(transfer.request.stall_timeout.count()));
  }
  set(easy, CURLOPT_ERRORBUFFER, transfer.error_text);
  set(easy, CURLOPT_HEADERFUNCTION, &on_header);
  set(easy, CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
  set(easy, CURLOPT_WRITEFUNCTION, &on_data);
  set(easy, CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
  set(easy, CURLOPT_PRIVATE, static_cast<void*>(&transfer));
  if (transfer.request.method == "HEAD") {
    set(easy, CURLOPT_NOBODY, 1L);
  } else if (transfer.request.method == "POST") {
    set(easy, CURLOPT_POST, 1L);
    set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(transfer.request.body.size()));
    set(easy, CURLOPT_POSTFIELDS, transfer.request.body.data());
  } else {
    set(easy, CURLOPT_HTTPGET, 1L);
  }
}

std::string string_info(CURL* easy, CURLINFO info) {
  char* text = nullptr;
  curl_easy_getinfo(easy, info, &text);
  return text == nullptr ? "" : text;
}

/// The target of a redirect to the same host, if the request follows those; otherwise empty.
/// libcurl follows all redirects or none.
std::string same_host_redirect(const Transfer& transfer) {
  if (transfer.request.redirects != Redirects::kSameHost || !transfer.response.error.empty())
    return "";
  std::string target = string_info(transfer.easy.get(), CURLINFO_REDIRECT_URL);
  if (target.empty() || !same_origin(transfer.url, target)) return "";
  if (transfer.num_redirects == kMaxRedirects) {
    throw Error(ErrorKind::kNetwork, "{}: more than {} redirects",
                redacted_url(transfer.request.url), kMaxRedirects);
  }
  return target;
}

/// Throws kNetwork for a redirect that libcurl did not follow; a retry would not help.
void reject_redirect(const Transfer& transfer, CURLcode code) {
  const int status = transfer.response.status;
  if (status < 300 || status >= 400) return;
  const std::string from = redacted_url(transfer.request.url);
  if (code == CURLE_TOO_MANY_REDIRECTS)
    throw Error(ErrorKind::kNetwork, "{}: more than {} redirects", from, kMaxRedirects);
  if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT) {
    throw Error(ErrorKind::kNetwork, "{}: redirects to '{}', expected an {} URL; not followed",
                from, redacted_url(std::string(transfer.response.header("location"))),
                is_https(transfer.url) ? "https" : "http or https");
  }
}

std::string error_of(const Transfer& transfer, CURLcode code) {
  if (transfer.body_rejected && !transfer.request.on_body) {
    return fmt::format("the response is longer than {} bytes", transfer.request.max_body_bytes);
  }
  std::string text =
      transfer.error_text[0] != '\0' ? transfer.error_text : curl_easy_strerror(code);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

std::string_view HttpResponse::header(std::string_view name) const {
  const auto found = std::find_if(headers.rbegin(), headers.rend(),
                                  [&](const auto& header) { return header.first == name; });
  return found == headers.rend() ? std::string_view() : std::string_view(found->second);
}

struct HttpClient::State {
  std::size_t max_connections = 64;
  std::string no_proxy = hosts_without_proxy();
  std::string ca_file;
  std::unique_ptr<CURLM, MultiCleanup> multi;
  std::list<std::unique_ptr<Transfer>> active;
  std::deque<std::unique_ptr<Transfer>> waiting;
  std::vector<std::unique_ptr<CURL, EasyCleanup>> spare;
  std::multimap<Clock::time_point, std::function<void()>> timers;

  bool stopped = false;

  ~State() { drop_all(); }

  void drop_all() {
    for (const auto& transfer : active) curl_multi_remove_handle(multi.get(), transfer->easy.get());
    active.clear();
    waiting.clear();
    timers.clear();
  }

  void check(CURLMcode code) const {
    if (code != CURLM_OK)
      throw Error(ErrorKind::kInternal, "libcurl: {}", curl_multi_strerror(code));
  }

  void begin(std::unique_ptr<Transfer> transfer) {
    if (transfer->easy == nullptr) {
      if (spare.empty()) {
        transfer->easy.reset(curl_easy_init());
        if (transfer->easy == nullptr)
          throw Error(ErrorKind::kResource, "libcurl cannot start a request: out of memory");
      } else {
        transfer->easy = std::move(spare.back());
        spare.pop_back();
      }
    }
    prepare(*transfer, no_proxy, ca_file);
    check(curl_multi_add_handle(multi.get(), transfer->easy.get()));
    active.push_back(std::move(transfer));
  }

  void fill() {
    while (!waiting.empty() && active.size() < max_connections) {
      std::unique_ptr<Transfer> next = std::move(waiting.front());
      waiting.pop_front();
      begin(std::move(next));
    }
  }

  void finish(CURL* easy, CURLcode code) {
    const auto place = std::find_if(active.begin(), active.end(),
                                    [&](const auto& t) { return t->easy.get() == easy; });
    std::unique_ptr<Transfer> transfer = std::move(*place);
    active.erase(place);
    curl_multi_remove_handle(multi.get(), easy);
    if (transfer->thrown) std::rethrow_exception(transfer->thrown);
    HttpResponse& response = transfer->response;
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    response.status = static_cast<int>(status);
    response.url = string_info(easy, CURLINFO_EFFECTIVE_URL);
    curl_off_t retry_after_s = 0;
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    response.retry_after =
        std::chrono::seconds(std::clamp<curl_off_t>(retry_after_s, 0, kMaxRetryAfterSeconds));
    if (code != CURLE_OK) {
      reject_redirect(*transfer, code);
      response.error = error_of(*transfer, code);
      response.connection_failed =
          code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST;
      response.timed_out = code == CURLE_OPERATION_TIMEDOUT;
    }
    if (std::string target = same_host_redirect(*transfer); !target.empty()) {
      transfer->url = std::move(target);
      ++transfer->num_redirects;
      return begin(std::move(transfer));
    }
    spare.push_back(std::move(transfer->easy));
    fill();
    transfer->done(std::move(response));
  }

  void run_due_timers() {
    while (!stopped && !timers.empty() && timers.begin()->first <= Clock::now()) {
      const std::function<void()> action = std::move(timers.begin()->second);
      timers.erase(timers.begin());
      action();
    }
  }

  /// Time to the next timer, at most 1 s.
  int wait_ms() const {
    if (timers.empty()) return 1000;
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(timers.begin()->first - Clock::now())
            .count() +
        1;
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1000));
  }
};

HttpClient::HttpClient(const HttpClientOptions& options) : state_(std::make_unique<State>()) {
  initialise_curl();
  state_->ca_file = options.ca_file.string();
  state_->max_connections = std::max<std::size_t>(options.max_connections, 1);
  state_->multi.reset(curl_multi_init());
  if (state_->multi == nullptr)
    throw Error(ErrorKind::kResource, "libcurl cannot be started: out of memory");
  curl_multi_setopt(state_->multi.get(), CURLMOPT_MAXCONNECTS,
                    static_cast<long>(state_->max_connections));
}

HttpClient::~HttpClient() = default;

void HttpClient::start(HttpRequest request, DoneFn done) {
  auto transfer = std::make_unique<Transfer>();
  transfer->url = request.url;
  transfer->request = std::move(request);
  transfer->done = std::move(done);
  state_->waiting.push_back(std::move(transfer));
  state_->fill();
}

void HttpClient::after(std::chrono::milliseconds delay, std::function<void()> action) {
  state_->timers.emplace(Clock::now() + delay, std::move(action));
}

void HttpClient::stop() { state_->stopped = true; }

void HttpClient::run() {
  state_->stopped = false;
  while (!state_->active.empty() || !state_->waiting.empty() || !state_->timers.empty()) {
    state_->run_due_timers();
    if (state_->stopped) return state_->drop_all();
    int num_running = 0;
    state_->check(curl_multi_perform(state_->multi.get(), &num_running));
    int num_messages = 0;
    bool any_finished = false;
    while (const CURLMsg* message = curl_multi_info_read(state_->multi.get(), &num_messages)) {
      if (message->msg != CURLMSG_DONE) continue;
      any_finished = true;
      state_->finish(message->easy_handle, message->data.result);  // invalidates message
      if (state_->stopped) return state_->drop_all();
    }
    if (any_finished) continue;
    state_->check(curl_multi_poll(state_->multi.get(), nullptr, 0, state_->wait_ms(), nullptr));
  }
}

HttpResponse HttpClient::send(HttpRequest request) {
  HttpResponse result;
  start(std::move(request), [&](HttpResponse response) { result = std::move(response); });
  run();
  return result;
}

}  // namespace charm::hub
