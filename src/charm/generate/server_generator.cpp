#include "charm/generate/server_generator.h"

#include <algorithm>
#include <deque>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/base/random.h"
#include "charm/generate/prompt_text.h"
#include "charm/generate/server_pool.h"
#include "charm/generate/server_probe.h"
#include "charm/generate/server_protocol.h"
#include "charm/hub/http_client.h"
#include "charm/hub/retry.h"
#include "charm/hub/url.h"

namespace charm::generate {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// A request that waits for its turn or is on its way.
struct Job {
  std::size_t request = 0;  // place in the caller's list
  int attempts = 0;         // sent without success, 429 aside
  int throttles = 0;        // answered with 429
  std::optional<std::size_t> last_server{};
  bool said_completion_tokens = false;  // how the limit was named when it was sent last
};

/// Sends one list of requests. Lives as long as one call of `generate`.
class Sender {
 public:
  Sender(const ServerOptions& options, const PromptText* prompt_text, ServerPool& pool,
         std::span<const GenerationRequest> requests, const SamplingOptions& sampling,
         const GeneratedFn& on_generated)
      : options_(options),
        prompt_text_(prompt_text),
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
    for (std::size_t i = 0; i < requests.size(); ++i) ready_.push_back({.request = i});
  }

  void run() {
    for (std::size_t s = 0; s < pool_.servers().size(); ++s) {
      if (!pool_.servers()[s].up) probe_later(s);
    }
    pump();
    if (num_left_ > 0) client_.run();
  }

 private:
  std::string body_of(const GenerationRequest& request, const Server& server) const {
    nlohmann::ordered_json body = common_members(options_, sampling_, server.kind);
    if (server.says_completion_tokens && body.contains("max_tokens")) {
      body["max_completion_tokens"] = body["max_tokens"];
      body.erase("max_tokens");
    }
    body["seed"] = request_seed(sampling_.seed, request.prompt_id, request.sample);
    if (prompt_text_ != nullptr) {
      body["prompt"] = prompt_text_->render(request.prompt);
    } else {
      body["messages"] = nlohmann::ordered_json::array();
      for (const Message& message : request.prompt)
        body["messages"].push_back({{"role", message.role}, {"content", message.content}});
    }
    return body.dump();
  }

  /// Sends what servers have room for.
  void pump() {
    while (!ready_.empty()) {
      const std::optional<std::size_t> server =
          pool_.choose(ready_.front().last_server, Clock::now());
      if (!server) break;
      const Job job = ready_.front();
      ready_.pop_front();
      send(job, *server);
    }
    if (ready_.empty() || wake_is_set_) return;
    if (const std::optional<milliseconds> pause = pool_.next_pause_end(Clock::now())) {
      wake_is_set_ = true;
      client_.after(*pause, [this] {
        wake_is_set_ = false;
        pump();
      });
    }
  }

  void send(Job job, std::size_t s) {
    Server& server = pool_.servers()[s];
    job.said_completion_tokens = server.says_completion_tokens;
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
      return fail(job, error.message());  // the template refuses the conversation
    }
    ++server.in_flight;
    client_.start(std::move(http),
                  [this, job, s](hub::HttpResponse response) { receive(job, s, response); });
  }

  void receive(Job job, std::size_t s, const hub::HttpResponse& response) {
    Server& server = pool_.servers()[s];
    --server.in_flight;
    if (!job.said_completion_tokens && wants_completion_tokens(response)) {
      server.says_completion_tokens = true;
      ready_.push_front(job);
      return pump();
    }
    ServerAnswer answer = read_answer(response, options_);
    using Kind = ServerAnswer::Kind;
    if (answer.kind == Kind::kDone || answer.kind == Kind::kRefused) pool_.on_answer(s);
    switch (answer.kind) {
      case Kind::kDone:
        deliver(job, std::move(answer.result));
        break;
      case Kind::kRefused:
        fail(job, answer.why);
        break;
      case Kind::kFatal:
        throw Error(ErrorKind::kNetwork, "{}: {}", hub::redacted_url(response.url), answer.why);
      case Kind::kSlower: {
        const milliseconds delay = hub::retry_delay(policy_, server.throttles, response, random_);
        pool_.on_throttle(s, Clock::now() + delay);
        log::debug("{}: {}; pausing {} ms", hub::redacted_url(server.base), answer.why,
                   delay.count());
        if (++job.throttles > kMaxThrottles) {
          fail(job, fmt::format("gave up after {} refusals, last: {}", job.throttles, answer.why));
        } else {
          ready_.push_front(job);
        }
        break;
      }
      case Kind::kTryAgain:
        try_again(job, s, response, answer.why);
        break;
    }
    pump();
  }

  void try_again(Job job, std::size_t s, const hub::HttpResponse& response,
                 const std::string& why) {
    // An answer of any kind shows that the server lives; what it says about this request is another
    // matter.
    const bool no_answer = response.status == 0 || response.status >= 502;
    if (no_answer && pool_.on_failure(s, response.connection_failed, why)) on_down(s);
    job.last_server = s;
    ++job.attempts;
    if (job.attempts > options_.retries) {
      return fail(job, fmt::format("gave up after {} attempts, last: {}: {}", job.attempts,
                                   hub::redacted_url(pool_.servers()[s].base), why));
    }
    const milliseconds delay = hub::retry_delay(policy_, job.attempts - 1, response, random_);
    log::debug("prompt {}: {}; asking again in {} ms", requests_[job.request].prompt_id, why,
               delay.count());
    client_.after(delay, [this, job] {
      ready_.push_back(job);
      pump();
    });
  }

  void on_down(std::size_t s) {
    const Server& server = pool_.servers()[s];
    log::warning("{}: {}; going on with {} of {} servers, this one is looked at again",
                 hub::redacted_url(server.base), server.trouble, pool_.num_up(),
                 pool_.servers().size());
    if (pool_.num_up() == 0) all_down_since_ = Clock::now();
    probe_later(s);
  }

  void probe_later(std::size_t s) {
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
      log::info("{}: is there", hub::redacted_url(server.base));
      return pump();
    }
    server.trouble = found.trouble;
    if (all_down_since_ && std::chrono::duration<double>(Clock::now() - *all_down_since_).count() >
                               options_.patience_s) {
      throw Error(
          ErrorKind::kNetwork, "no server is left for {} s ({} of {} requests are answered): {}",
          options_.patience_s, requests_.size() - num_left_, requests_.size(), pool_.troubles());
    }
    probe_later(s);
  }

  void deliver(const Job& job, GenerationResult result) {
    result.index = requests_[job.request].index;
    on_generated_(std::move(result));
    if (--num_left_ == 0) client_.stop();  // looks at servers that are down need not end
  }

  void fail(const Job& job, std::string why) {
    GenerationResult result;
    result.error = std::move(why);
    deliver(job, std::move(result));
  }

  static constexpr int kMaxThrottles = 200;

  const ServerOptions& options_;
  const PromptText* prompt_text_;
  ServerPool& pool_;
  std::span<const GenerationRequest> requests_;
  const SamplingOptions& sampling_;
  const GeneratedFn& on_generated_;
  hub::RetryPolicy policy_;
  RandomStream random_;
  hub::HttpClient client_;
  std::deque<Job> ready_;
  std::size_t num_left_;
  bool wake_is_set_ = false;
  std::optional<Clock::time_point> all_down_since_;
};

class ServerGenerator final : public Generator {
 public:
  explicit ServerGenerator(const ServerOptions& options)
      : options_(options),
        pool_(bases_of(options), std::max<std::int64_t>(options.concurrency, 1)) {
    if (options_.endpoint == Endpoint::kCompletions) prompt_text_.emplace(options_);
    look_at_all();
  }

  void generate(std::span<const GenerationRequest> requests, const SamplingOptions& sampling,
                const GeneratedFn& on_generated) override {
    if (requests.empty()) return;
    Sender(options_, prompt_text_ ? &*prompt_text_ : nullptr, pool_, requests, sampling,
           on_generated)
        .run();
  }

 private:
  static std::vector<std::string> bases_of(const ServerOptions& options) {
    std::vector<std::string> bases;
    for (const std::string& url : options.urls) {
      std::string base = api_base(url);
      if (std::find(bases.begin(), bases.end(), base) != bases.end()) {
        throw Error(ErrorKind::kUsage, "--server: '{}' is given twice", hub::redacted_url(url));
      }
      bases.push_back(std::move(base));
    }
    if (bases.empty()) throw Error(ErrorKind::kUsage, "--server: expected at least one address");
    return bases;
  }

  /// Looks until one server is there, or `wait_s` is over.
  void look_at_all() {
    hub::HttpClient client;
    const auto give_up = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                            std::chrono::duration<double>(options_.wait_s));
    const std::function<void(std::size_t)> look = [&](std::size_t s) {
      probe_server(client, options_, pool_.servers()[s].base, [&, s](const ProbeResult& found) {
        Server& server = pool_.servers()[s];
        server.up = found.up;
        server.kind = found.kind;
        server.trouble = found.trouble;
        if (!found.up && Clock::now() < give_up)
          client.after(std::min<milliseconds>(options_.first_delay, milliseconds(2000)),
                       [&, s] { look(s); });
      });
    };
    for (std::size_t s = 0; s < pool_.servers().size(); ++s) look(s);
    client.run();
    if (pool_.num_up() == 0) {
      throw Error(ErrorKind::kNetwork, "no server is there: {}{}", pool_.troubles(),
                  options_.wait_s > 0.0 ? "" : " (--wait gives them time to start)");
    }
    for (const Server& server : pool_.servers()) {
      if (!server.up) log::warning("{}; going on without it until it is there", server.trouble);
    }
  }

  ServerOptions options_;
  ServerPool pool_;
  std::optional<PromptText> prompt_text_;
};

}  // namespace

std::unique_ptr<Generator> make_server_generator(const ServerOptions& options) {
  return std::make_unique<ServerGenerator>(options);
}

}  // namespace charm::generate
