#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/http_server.h"

namespace charm::testing {

/// A server with an OpenAI-compatible API whose answer is a function of the request; tests put
/// faults in front of it.
class FakeLlm {
 public:
  /// May return a reply instead of the proper one; `number` counts requests for responses from 1.
  using Fault = std::function<std::optional<ServerReply>(int number, const nlohmann::json& body)>;

  explicit FakeLlm(Fault fault = {}, std::string model = "tiny", int port = 0)
      : fault_(std::move(fault)),
        model_(std::move(model)),
        server_([this](const ServerRequest& r) { return answer(r); }, port) {}

  std::string url() const { return server_.url(); }
  int port() const { return server_.port(); }
  void stop() { server_.stop(); }
  int num_connections() const { return server_.num_connections(); }

  /// "echo <last message> (seed)" for every request that got a proper answer.
  static std::string reply_text(const nlohmann::json& body) {
    const std::string prompt = body.contains("messages")
                                   ? body["messages"].back()["content"].get<std::string>()
                                   : body["prompt"].get<std::string>();
    return "echo " + prompt + " " + std::to_string(body["seed"].get<std::int64_t>());
  }

  /// How often each prompt got a proper answer.
  std::map<std::string, int> answered() const {
    const std::lock_guard lock(mutex_);
    return answered_;
  }
  int num_answered() const {
    int sum = 0;
    for (const auto& [prompt, count] : answered()) sum += count;
    return sum;
  }
  int num_asked() const { return num_asked_; }
  std::vector<nlohmann::json> bodies() const {
    const std::lock_guard lock(mutex_);
    return bodies_;
  }
  std::vector<ServerRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  static ServerReply proper(const nlohmann::json& body, const std::string& model,
                            const std::string& finish = "stop") {
    nlohmann::json choice = {{"index", 0}, {"finish_reason", finish}};
    if (body.contains("messages")) {
      choice["message"] = {{"role", "assistant"}, {"content", reply_text(body)}};
    } else {
      choice["text"] = reply_text(body);
    }
    const nlohmann::json answer = {{"id", "x"},
                                   {"model", model},
                                   {"choices", {choice}},
                                   {"usage", {{"prompt_tokens", 7}, {"completion_tokens", 3}}}};
    return {.body = answer.dump(), .headers = {{"Content-Type", "application/json"}}};
  }

 private:
  ServerReply answer(const ServerRequest& request) {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    if (request.path == "/v1/models") {
      return {.body = nlohmann::json{{"object", "list"},
                                     {"data", {{{"id", model_}, {"owned_by", "test"}}}}}
                          .dump()};
    }
    if (request.path != "/v1/chat/completions" && request.path != "/v1/completions")
      return {.status = 404, .body = "{\"detail\":\"Not Found\"}"};
    const nlohmann::json body = nlohmann::json::parse(request.body);
    const int number = ++num_asked_;
    if (fault_) {
      if (std::optional<ServerReply> reply = fault_(number, body)) return *std::move(reply);
    }
    const std::lock_guard lock(mutex_);
    bodies_.push_back(body);
    ++answered_[reply_text(body)];
    return proper(body, model_);
  }

  Fault fault_;
  std::string model_;
  mutable std::mutex mutex_;
  std::map<std::string, int> answered_;
  std::vector<nlohmann::json> bodies_;
  std::vector<ServerRequest> requests_;
  std::atomic<int> num_asked_{0};
  HttpServer server_;  // last: its threads use the others
};

}  // namespace charm::testing
