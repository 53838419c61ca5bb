#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/http_server.h"

namespace charm::testing {

/// A fake OpenAI-compatible server whose responses are a function of the request, with fault
/// injection.
class FakeLlm {
 public:
  /// May return a faulty reply; `number` counts completion requests from 1.
  using Fault = std::function<std::optional<ServerReply>(int number, const nlohmann::json& body)>;

  explicit FakeLlm(Fault fault = {}, std::string model = "tiny", int port = 0)
      : fault_(std::move(fault)),
        model_(std::move(model)),
        server_([this](const ServerRequest& r) { return handle(r); }, port) {}

  std::string url() const { return server_.url(); }
  int port() const { return server_.port(); }
  void stop() { server_.stop(); }
  void fail_model_list() { model_list_fails_ = true; }
  int num_connections() const { return server_.num_connections(); }

  /// The completion text: "echo <last message> <seed>"; models other than "tiny" begin with their
  /// name.
  static std::string reply_text(const nlohmann::json& body) {
    const std::string prompt = body.contains("messages")
                                   ? body["messages"].back()["content"].get<std::string>()
                                   : body["prompt"].get<std::string>();
    const std::string model = body.value("model", "tiny");
    return (model == "tiny" ? "" : model + " ") + "echo " + prompt + " " +
           std::to_string(body["seed"].get<std::int64_t>());
  }

  /// Number of completions per prompt.
  std::map<std::string, int> completed() const {
    const std::lock_guard lock(mutex_);
    return completed_;
  }
  int num_completed() const {
    int sum = 0;
    for (const auto& [prompt, count] : completed()) sum += count;
    return sum;
  }
  int num_received() const { return num_received_; }
  std::vector<nlohmann::json> bodies() const {
    const std::lock_guard lock(mutex_);
    return bodies_;
  }
  std::vector<ServerRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  static ServerReply completion(const nlohmann::json& body, const std::string& model,
                                const std::string& finish = "stop") {
    nlohmann::json choice = {{"index", 0}, {"finish_reason", finish}};
    if (body.contains("messages")) {
      choice["message"] = {{"role", "assistant"}, {"content", reply_text(body)}};
    } else {
      choice["text"] = reply_text(body);
    }
    const nlohmann::json response = {{"id", "x"},
                                     {"model", model},
                                     {"choices", {choice}},
                                     {"usage", {{"prompt_tokens", 7}, {"completion_tokens", 3}}}};
    return {.body = response.dump(), .headers = {{"Content-Type", "application/json"}}};
  }

 private:
  ServerReply handle(const ServerRequest& request) {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    if (request.path == "/health") return {.body = ""};
    if (request.path == "/v1/models" && model_list_fails_)
      return {.status = 500, .body = "{\"detail\":\"Internal Server Error\"}"};
    if (request.path == "/v1/models") {
      return {.body = nlohmann::json{{"object", "list"},
                                     {"data", {{{"id", model_}, {"owned_by", "test"}}}}}
                          .dump()};
    }
    if (request.path != "/v1/chat/completions" && request.path != "/v1/completions")
      return {.status = 404, .body = "{\"detail\":\"Not Found\"}"};
    const nlohmann::json body = nlohmann::json::parse(request.body);
    const int number = ++num_received_;
    if (fault_) {
      if (std::optional<ServerReply> reply = fault_(number, body)) return *std::move(reply);
    }
    const std::lock_guard lock(mutex_);
    bodies_.push_back(body);
    ++completed_[reply_text(body)];
    return completion(body, model_);
  }

  Fault fault_;
  std::string model_;
  mutable std::mutex mutex_;
  std::map<std::string, int> completed_;
  std::vector<nlohmann::json> bodies_;
  std::vector<ServerRequest> requests_;
  std::atomic<int> num_received_{0};
  std::atomic<bool> model_list_fails_{false};
  HttpServer server_;  // last: its threads use the other members
};

}  // namespace charm::testing
