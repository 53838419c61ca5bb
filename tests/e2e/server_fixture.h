#pragma once

#include <fmt/format.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "charm/base/hashing.h"
#include "charm/hub/http_client.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {

/// A small world whose reward model is served, in float32 on a port of its own.
class ServedWorld : public SmallWorld {
 protected:
  /// Starts the server and returns its URL; empty if it did not come up.
  std::string serve(const std::vector<std::string>& options = {}, const RunSetup& setup = {}) {
    server_ = std::make_unique<RunningCharm>(
        join({{"serve", "--model", path("rm"), "--port", "0", "--dtype", "float32"}, options}),
        setup);
    const std::string line = server_->first_line();
    const std::size_t url = line.find("http://");
    EXPECT_NE(url, std::string::npos) << line << (line.empty() ? server_->wait().err : "");
    return url == std::string::npos ? "" : line.substr(url);
  }

  static hub::HttpResponse post(const std::string& url, const std::string& body,
                                const std::string& key = "") {
    hub::HttpClient client;
    return client.send({.method = "POST", .url = url, .body = body, .bearer_token = key});
  }
  static hub::HttpResponse get(const std::string& url) {
    hub::HttpClient client;
    return client.send({.url = url});
  }

  /// The first `count` scored rows of `charm score`.
  std::vector<ScoredResponse> scored_rows(std::size_t count) {
    if (!fs::exists(path("scores"))) score_all();
    std::vector<ScoredResponse> rows;
    for (const std::string& file : all_scores()) {
      for (ScoredResponse& row : storage::read_scored_responses(file, {}))
        if (rows.size() < count) rows.push_back(std::move(row));
    }
    return rows;
  }

  static nlohmann::json conversation(const ScoredResponse& row) {
    nlohmann::json messages = nlohmann::json::parse(messages_json(row.response.prompt));
    messages.push_back({{"role", "assistant"}, {"content", row.response.response}});
    return {{"messages", messages}};
  }

  std::unique_ptr<RunningCharm> server_;
};

}  // namespace charm::e2e
