#include "charm/serve/server.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/results/calibration.h"
#include "charm/score/score_provenance.h"
#include "charm/serve/api.h"
#include "charm/serve/http_server.h"
#include "charm/serve/metrics.h"
#include "charm/serve/score_queue.h"

namespace charm::serve {
namespace {

using Clock = std::chrono::steady_clock;

/// Names of models that clients asked for and that a warning has named.
constexpr std::size_t kMaxNamedModels = 16;

std::string read_api_key(const ServeOptions& options) {
  if (!options.api_key_env) return "";
  const char* key = std::getenv(options.api_key_env->c_str());
  if (key == nullptr || *key == '\0') {
    throw Error(ErrorKind::kUsage, "--api-key-env {0}: the environment variable {0} is {1}",
                *options.api_key_env, key == nullptr ? "not set" : "empty");
  }
  return key;
}

std::optional<PolicyOffsets> read_offsets(const ServeOptions& options) {
  if (!options.calibration) return std::nullopt;
  const results::Calibration calibration = results::read_calibration(*options.calibration);
  PolicyOffsets offsets{.file = options.calibration->string(), .offsets = {}};
  for (const results::CalibratedPolicy& policy : calibration.policies)
    offsets.offsets.emplace(policy.policy, policy.offset.value);
  return offsets;
}

/// Whether `given` is `key`, in a time that depends on the length of `given` alone.
bool equals_in_constant_time(const std::string& given, const std::string& key) {
  auto difference = static_cast<unsigned>(given.size() != key.size());
  for (std::size_t i = 0; i < given.size(); ++i) {
    difference |=
        static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(key[i % key.size()]);
  }
  return difference == 0;
}

HttpReply error_reply(int status, const std::string& message) {
  return {.status = status, .body = error_body(status, message)};
}

/// Routes requests. Used by the HTTP server's thread; replies come from the queue's worker.
class Service {
 public:
  Service(const ServeOptions& options, const HttpServer& http, ScoreQueue& queue, Metrics& metrics,
          std::string key, std::optional<PolicyOffsets> offsets, std::int64_t max_tokens)
      : options_(options),
        http_(http),
        queue_(queue),
        metrics_(metrics),
        key_(std::move(key)),
        offsets_(std::move(offsets)),
        model_(model_name(options)),
        max_tokens_(max_tokens) {}

  void handle(const HttpRequest& request, std::shared_ptr<const std::atomic<bool>> abandoned,
              HttpServer::Respond respond) {
    const Clock::time_point start = Clock::now();
    const std::optional<Shape> shape = shape_of_path(request.path);
    const std::string endpoint = shape || is_get_path(request.path) ? request.path : "other";
    // Shared by the ways a request may end; one of them is taken.
    auto reply = std::make_shared<HttpServer::Respond>(
        [this, endpoint, start, respond = std::move(respond)](HttpReply answer) mutable {
          metrics_.request_done(endpoint, answer.status,
                                std::chrono::duration<double>(Clock::now() - start).count());
          respond(std::move(answer));
        });
    if (request.path != "/health" && !is_authorized(request)) {
      HttpReply refused = error_reply(401,
                                      "expected the header 'Authorization: Bearer KEY' with "
                                      "the key of this server");
      refused.headers.emplace_back("WWW-Authenticate", "Bearer");
      return (*reply)(std::move(refused));
    }
    if (!shape) return (*reply)(get(request));
    if (request.method != "POST") return (*reply)(method_not_allowed(request, "POST"));
    try {
      post(parse_request(*shape, request.body, offsets_ ? &*offsets_ : nullptr),
           std::move(abandoned), reply);
    } catch (const Error& error) {
      (*reply)(error_reply(error.kind() == ErrorKind::kInput ? 400 : 500, error.message()));
    } catch (const std::exception& error) {  // memory ran out: the others are still served
      (*reply)(error_reply(500, error.what()));
    }
  }

  /// Refused by the HTTP server itself.
  HttpReply refuse(int status, const std::string& message) {
    metrics_.request_done("other", status, 0.0);
    return error_reply(status, message);
  }

 private:
  static bool is_get_path(std::string_view path) {
    return path == "/health" || path == "/metrics" || path == "/v1/models";
  }

  bool is_authorized(const HttpRequest& request) const {
    if (key_.empty()) return true;
    constexpr std::string_view kScheme = "Bearer ";
    const bool has_scheme = request.authorization.starts_with(kScheme);
    return equals_in_constant_time(has_scheme ? request.authorization.substr(kScheme.size()) : "",
                                   key_);
  }

  static HttpReply method_not_allowed(const HttpRequest& request, const char* allowed) {
    HttpReply reply =
        error_reply(405, fmt::format("{} {}: expected {}", request.method, request.path, allowed));
    reply.headers.emplace_back("Allow", allowed);
    return reply;
  }

  HttpReply get(const HttpRequest& request) const {
    if (!is_get_path(request.path)) {
      std::string known = "/health, /v1/models, /metrics";
      for (const std::string_view path : post_paths()) known += ", " + std::string(path);
      return error_reply(404, fmt::format("{}: unknown path; known: {}", request.path, known));
    }
    if (request.method != "GET") return method_not_allowed(request, "GET");
    if (request.path == "/health") return {.body = R"({"status":"ok"})"};
    if (request.path == "/metrics") {
      return {.body = metrics_.text(queue_.num_waiting(), http_.num_connections()),
              .content_type = "text/plain; version=0.0.4; charset=utf-8"};
    }
    const nlohmann::ordered_json models = {{"object", "list"},
                                           {"data",
                                            {{{"id", model_},
                                              {"object", "model"},
                                              {"created", started_s_},
                                              {"owned_by", "charm"},
                                              {"root", options_.model_dir.string()},
                                              {"max_model_len", max_tokens_}}}}};
    return {.body = models.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)};
  }

  void post(ApiRequest request, std::shared_ptr<const std::atomic<bool>> abandoned,
            const std::shared_ptr<HttpServer::Respond>& reply) {
    warn_of_model(request.model);
    std::vector<ScoreInput> inputs = std::exchange(request.inputs, {});
    const ReplyFacts facts{.model = model_,
                           .id = fmt::format("charm-{}-{}", started_s_, ++num_requests_),
                           .created_s = unix_time_s()};
    auto done = [this, request = std::move(request), facts,
                 reply](const std::vector<ScoreResult>& results) {
      ApiReply answer = format_reply(request, results, offsets_ ? &*offsets_ : nullptr, facts);
      (*reply)({.status = answer.status, .body = std::move(answer.body)});
    };
    if (queue_.submit(std::move(inputs), std::move(abandoned), std::move(done))) return;
    HttpReply full = error_reply(
        503, fmt::format("{} conversations wait already; at most {} may (--max-waiting)",
                         queue_.num_waiting(), options_.max_waiting));
    full.headers.emplace_back("Retry-After", std::to_string(queue_.retry_after_s()));
    (*reply)(std::move(full));
  }

  /// This server has one model, whatever name a client knows it by.
  void warn_of_model(const std::string& name) {
    if (name.empty() || name == model_ || name == options_.model_dir.string() ||
        named_models_.size() >= kMaxNamedModels || !named_models_.insert(name).second)
      return;
    log::warning("a client asks for the model '{}'; it is answered by '{}'", name, model_);
  }

  static std::int64_t unix_time_s() {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }

  const ServeOptions& options_;
  const HttpServer& http_;
  ScoreQueue& queue_;
  Metrics& metrics_;
  const std::string key_;
  const std::optional<PolicyOffsets> offsets_;
  const std::string model_;
  const std::int64_t max_tokens_;
  const std::int64_t started_s_ = unix_time_s();
  std::int64_t num_requests_ = 0;
  std::set<std::string> named_models_;
};

}  // namespace

void serve(const ServeOptions& options, const std::function<void(const Listening&)>& on_listening) {
  std::string key = read_api_key(options);
  std::optional<PolicyOffsets> offsets = read_offsets(options);
  HttpServer http({.host = options.host,
                   .port = static_cast<std::uint16_t>(options.port),
                   .max_body_bytes = options.max_body_bytes,
                   .request_timeout_s = options.request_timeout_s});
  if (http.is_public() && key.empty()) {
    log::warning(
        "--host {} without --api-key-env: everyone who reaches port {} of this machine can send "
        "texts to the model and read its metrics",
        options.host, http.port());
  }
  const engine::ModelSource source =
      engine::resolve_model_source(options.model_dir, options.model.source);
  const std::unique_ptr<engine::RewardModel> model =
      engine::load_reward_model(source, options.model);
  const text::ConversationEncoder encoder(source.tokenizer_folder,
                                          score::encoder_options(options.encoder, *model, source));
  score::require_pooling(*model, options.scorer.pooling);
  score::ScorerOptions scorer = options.scorer;
  scorer.threads = options.model.threads;
  Metrics metrics;
  ScoreQueue queue(*model, encoder, {.max_waiting = options.max_waiting, .scorer = scorer},
                   metrics);
  Service service(options, http, queue, metrics, std::move(key), std::move(offsets),
                  encoder.max_tokens());
  http.run(
      [&service](const HttpRequest& request, std::shared_ptr<const std::atomic<bool>> abandoned,
                 HttpServer::Respond respond) {
        service.handle(request, std::move(abandoned), std::move(respond));
      },
      [&service](int status, const std::string& message) {
        return service.refuse(status, message);
      },
      [&] {
        const std::string host =
            options.host.find(':') == std::string::npos ? options.host : "[" + options.host + "]";
        on_listening(
            {.url = fmt::format("http://{}:{}", host, http.port()), .model = model_name(options)});
      });
}

}  // namespace charm::serve
