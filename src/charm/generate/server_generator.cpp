#include "charm/generate/server_generator.h"

#include <algorithm>
#include <deque>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/base/random.h"
#include "charm/generate/server_pool.h"
#include "charm/generate/server_protocol.h"
#include "charm/hub/http_client.h"
#include "charm/hub/retry.h"
#include "charm/hub/url.h"

namespace charm::generate {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// A request that is queued or in flight.
struct Job {
  std::size_t request = 0;  // index in `requests_`
  int attempts = 0;         // failed attempts, not counting 429
  int throttles = 0;        // 429 responses
  std::optional<std::size_t> last_server{};
  bool sent_max_completion_tokens = false;  // in the last attempt
};

/// State of one call of `generate`.
class Sender {
 public:
  Sender(const ServerOptions& options, const PromptRenderer* renderer, ServerPool& pool,
         std::span<const GenerationRequest> requests, const SamplingOptions& sampling,
         const GeneratedFn& on_generated)
      : options_(options),
        renderer_(renderer),
        pool_(pool),
        requests_(requests),
        sampling_(sampling),
        on_generated_(on_generated),
        policy_{.max_retries = options.retries,
                .first_delay = options.first_delay,
                .max_delay = options.max_delay},
        random_(sampling.seed, "generate.retry"),
        client_({.max_connections =
                     pool.servers().size() * (static_cast<std::size_t>(options.concurrency) + 1)}),
        num_left_(requests.size()) {
    for (std::size_t i = 0; i < requests.size(); ++i) queue_.push_back({.request = i});
  }

  void run() {
    for (std::size_t s = 0; s < pool_.servers().size(); ++s) {
      if (!pool_.servers()[s].up) schedule_probe(s);
    }
    dispatch();
    if (num_left_ > 0) client_.run();
  }

 private:
  std::string body_of(const GenerationRequest& request, const Server& server) const {
    nlohmann::ordered_json body = common_fields(options_, sampling_, server.kind);
    if (server.uses_max_completion_tokens && body.contains("max_tokens")) {
      body["max_completion_tokens"] = body["max_tokens"];
      body.erase("max_tokens");
    }
    body["seed"] = request_seed(sampling_.seed, request.prompt_id, request.sample);
    if (renderer_ != nullptr) {
      body["prompt"] = renderer_->render(request.prompt);
    } else {
      body["messages"] = nlohmann::ordered_json::parse(messages_json(request.prompt));
      if (!request.prompt.tools.empty())
        body["tools"] = nlohmann::ordered_json::parse(request.prompt.tools);
      if (!request.prompt.template_kwargs.empty()) {
        body["chat_template_kwargs"].update(
            nlohmann::ordered_json::parse(request.prompt.template_kwargs));
      }
    }
    return body.dump();
  }

  /// Sends queued requests to servers with capacity.
  void dispatch() {
    while (!queue_.empty()) {
      const std::optional<std::size_t> server =
          pool_.choose(queue_.front().last_server, Clock::now());
      if (!server) break;
      const Job job = queue_.front();
      queue_.pop_front();
      send(job, *server);
    }
    if (queue_.empty() || timer_is_set_) return;
    if (const std::optional<milliseconds> pause = pool_.time_to_resume(Clock::now())) {
      timer_is_set_ = true;
      client_.after(*pause, [this] {
        timer_is_set_ = false;
        dispatch();
      });
    }
  }

  void send(Job job, std::size_t s) {
    Server& server = pool_.servers()[s];
    job.sent_max_completion_tokens = server.uses_max_completion_tokens;
    hub::HttpRequest http;
    http.method = "POST";
    http.url =
        server.base + (options_.endpoint == Endpoint::kChat ? "/chat/completions" : "/completions");
    http.headers = {{"Content-Type", "application/json"}};
    http.bearer_token = options_.api_key;
    http.timeout = milliseconds(static_cast<std::int64_t>(options_.timeout_s * 1000.0));
    try {
      http.body = body_of(requests_[job.request], server);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) throw;
      return fail(job, error.message());  // rejected by the template
    }
    ++server.in_flight;
    client_.start(std::move(http),
                  [this, job, s](const hub::HttpResponse& response) { receive(job, s, response); });
  }

  void receive(Job job, std::size_t s, const hub::HttpResponse& response) {
    Server& server = pool_.servers()[s];
    --server.in_flight;
    if (!job.sent_max_completion_tokens && requires_max_completion_tokens(response)) {
      server.uses_max_completion_tokens = true;
      queue_.push_front(job);
      return dispatch();
    }
    CompletionResult outcome = parse_completion(response, options_);
    using Kind = CompletionResult::Kind;
    if (outcome.kind == Kind::kOk || outcome.kind == Kind::kRejected) pool_.on_response(s);
    switch (outcome.kind) {
      case Kind::kOk:
        deliver(job, std::move(outcome.result));
        break;
      case Kind::kRejected:
        fail(job, outcome.why);
        break;
      case Kind::kFatal:
        throw Error(ErrorKind::kNetwork, "{}: {}", hub::redacted_url(response.url), outcome.why);
      case Kind::kThrottled: {
        const milliseconds delay = hub::retry_delay(policy_, server.throttles, response, random_);
        pool_.on_throttle(s, Clock::now() + delay);
        log::debug("{}: {}; pausing {} ms", hub::redacted_url(server.base), outcome.why,
                   delay.count());
        if (++job.throttles > kMaxThrottles) {
          fail(job, fmt::format("gave up after {} throttled attempts (HTTP 429), last: {}",
                                job.throttles, outcome.why));
        } else {
          queue_.push_front(job);
        }
        break;
      }
      case Kind::kRetry:
        retry(job, s, response, outcome.why);
        break;
    }
    dispatch();
  }

  void retry(Job job, std::size_t s, const hub::HttpResponse& response, const std::string& why) {
    // Any response but a gateway error shows that the server is up.
    const bool no_response = response.status == 0 || response.status >= 502;
    if (no_response && pool_.on_failure(s, response.connection_failed, why)) on_down(s);
    job.last_server = s;
    ++job.attempts;
    if (job.attempts > options_.retries) {
      return fail(job, fmt::format("gave up after {} attempts, last: {}: {}", job.attempts,
                                   hub::redacted_url(pool_.servers()[s].base), why));
    }
    const milliseconds delay = hub::retry_delay(policy_, job.attempts - 1, response, random_);
    log::debug("prompt {}: {}; retrying in {} ms", requests_[job.request].prompt_id, why,
               delay.count());
    client_.after(delay, [this, job] {
      queue_.push_back(job);
      dispatch();
    });
  }

  void on_down(std::size_t s) {
    const Server& server = pool_.servers()[s];
    log::warning("{}: {}; server is down, {} of {} servers are up; probing it again",
                 hub::redacted_url(server.base), server.last_error, pool_.num_up(),
                 pool_.servers().size());
    if (pool_.num_up() == 0) all_down_since_ = Clock::now();
    schedule_probe(s);
  }

  void schedule_probe(std::size_t s) {
    Server& server = pool_.servers()[s];
    const milliseconds delay = std::min({options_.first_delay * (1 << std::min(server.probes, 10)),
                                         options_.max_delay, milliseconds(15'000)});
    ++server.probes;
    client_.after(delay, [this, s] {
      probe_server(client_, options_, pool_.servers()[s].base,
                   [this, s](const ProbeResult& found) { on_probe(s, found); });
    });
  }

  void on_probe(std::size_t s, const ProbeResult& found) {
    Server& server = pool_.servers()[s];
    if (found.up) {
      server.up = true;
      server.kind = found.kind;
      server.failures = 0;
      all_down_since_.reset();
      log::info("{}: server is up", hub::redacted_url(server.base));
      return dispatch();
    }
    server.last_error = found.error;
    if (all_down_since_ && std::chrono::duration<double>(Clock::now() - *all_down_since_).count() >
                               options_.patience_s) {
      throw Error(
          ErrorKind::kNetwork, "all servers unreachable for {} s ({} of {} requests completed): {}",
          options_.patience_s, requests_.size() - num_left_, requests_.size(), pool_.errors());
    }
    schedule_probe(s);
  }

  void deliver(const Job& job, GenerationResult result) {
    result.index = requests_[job.request].index;
    on_generated_(std::move(result));
    if (--num_left_ == 0) client_.stop();  // cancels pending probes
  }

  void fail(const Job& job, std::string why) {
    GenerationResult result;
    result.error = std::move(why);
    deliver(job, std::move(result));
  }

  static constexpr int kMaxThrottles = 200;

  const ServerOptions& options_;
  const PromptRenderer* renderer_;
  ServerPool& pool_;
  std::span<const GenerationRequest> requests_;
  const SamplingOptions& sampling_;
  const GeneratedFn& on_generated_;
  hub::RetryPolicy policy_;
  RandomStream random_;
  hub::HttpClient client_;
  std::deque<Job> queue_;
  std::size_t num_left_;
  bool timer_is_set_ = false;
  std::optional<Clock::time_point> all_down_since_;
};

class ServerGenerator final : public Generator {
 public:
  explicit ServerGenerator(const ServerOptions& options)
      : options_(options),
        pool_(bases_of(options), std::max<std::int64_t>(options.concurrency, 1)) {
    if (options_.endpoint == Endpoint::kCompletions) renderer_.emplace(options_);
    probe_all();
  }

  void generate(std::span<const GenerationRequest> requests, const SamplingOptions& sampling,
                const GeneratedFn& on_generated) override {
    if (requests.empty()) return;
    Sender(options_, renderer_ ? &*renderer_ : nullptr, pool_, requests, sampling, on_generated)
        .run();
  }

 private:
  static std::vector<std::string> bases_of(const ServerOptions& options) {
    std::vector<std::string> bases;
    for (const std::string& url : options.urls) {
      std::string base = api_base(url);
      if (std::find(bases.begin(), bases.end(), base) != bases.end()) {
        throw Error(ErrorKind::kUsage, "--server: '{}' is a duplicate", hub::redacted_url(url));
      }
      bases.push_back(std::move(base));
    }
    if (bases.empty()) throw Error(ErrorKind::kUsage, "--server: expected at least one URL");
    return bases;
  }

  /// Probes all servers until each is up or `wait_s` has passed.
  void probe_all() {
    hub::HttpClient client;
    const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                             std::chrono::duration<double>(options_.wait_s));
    const std::function<void(std::size_t)> probe = [&](std::size_t s) {
      probe_server(client, options_, pool_.servers()[s].base, [&, s](const ProbeResult& found) {
        Server& server = pool_.servers()[s];
        server.up = found.up;
        server.kind = found.kind;
        server.last_error = found.error;
        if (!found.up && Clock::now() < deadline)
          client.after(std::min<milliseconds>(options_.first_delay, milliseconds(2000)),
                       [&, s] { probe(s); });
      });
    };
    for (std::size_t s = 0; s < pool_.servers().size(); ++s) probe(s);
    client.run();
    if (pool_.num_up() == 0) {
      throw Error(ErrorKind::kNetwork, "no server is reachable: {}{}", pool_.errors(),
                  options_.wait_s > 0.0 ? "" : " (--wait waits for servers to start)");
    }
    for (const Server& server : pool_.servers()) {
      if (!server.up) log::warning("{}; server is down, probing it again", server.last_error);
    }
  }

  ServerOptions options_;
  ServerPool pool_;
  std::optional<PromptRenderer> renderer_;
};

}  // namespace

std::unique_ptr<Generator> make_server_generator(const ServerOptions& options) {
  return std::make_unique<ServerGenerator>(options);
}

}  // namespace charm::generate
