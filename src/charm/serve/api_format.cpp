#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/check.h"
#include "charm/base/strings.h"
#include "charm/serve/api.h"

namespace charm::serve {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// A float32 as the double of the same value: its digits read back as the same bits.
Json number(float value) { return static_cast<double>(value); }

Json error_object(const ScoreResult& result) { return {{"message", *result.row.error}}; }

/// Four bytes, little-endian, as base64: one embedding of one element.
std::string base64_of_score(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  std::string bytes;
  for (const unsigned shift : {0U, 8U, 16U, 24U})
    bytes += static_cast<char>((bits >> shift) & 0xffU);
  return base64_of(bytes);
}

float activated(const ApiRequest& request, float score) {
  if (!request.use_activation) return score;
  return static_cast<float>(1.0 / (1.0 + std::exp(-static_cast<double>(score))));
}

std::int64_t total_tokens(std::span<const ScoreResult> results) {
  std::int64_t total = 0;
  for (const ScoreResult& result : results) total += result.row.num_tokens;
  return total;
}

Json usage(std::span<const ScoreResult> results) {
  const std::int64_t tokens = total_tokens(results);
  return {{"prompt_tokens", tokens}, {"completion_tokens", 0}, {"total_tokens", tokens}};
}

/// A list with one entry per conversation, null where it has no score.
template <typename Value>
Json column(std::span<const ScoreResult> results, const Value& value) {
  Json list = Json::array();
  for (std::size_t i = 0; i < results.size(); ++i)
    list.push_back(results[i].row.error ? Json() : Json(value(i)));
  return list;
}

Json scores(const ApiRequest& request, std::span<const ScoreResult> results) {
  return column(results,
                [&](std::size_t i) { return number(activated(request, results[i].row.score)); });
}

/// Adds `errors` if a conversation has one.
void add_errors(std::span<const ScoreResult> results, Json& reply) {
  Json errors = Json::array();
  bool any = false;
  for (const ScoreResult& result : results) {
    errors.push_back(result.row.error ? Json(*result.row.error) : Json());
    any = any || result.row.error.has_value();
  }
  if (any) reply["errors"] = std::move(errors);
}

Json score_reply(const ApiRequest& request, std::span<const ScoreResult> results,
                 const PolicyOffsets* offsets, const ReplyFacts& facts) {
  Json reply = {{"model", facts.model}, {"scores", scores(request, results)}};
  if (offsets != nullptr) {
    reply["calibrated"] = column(results, [&](std::size_t i) -> Json {
      if (!request.policies[i]) return Json();
      return static_cast<double>(results[i].row.score) + offsets->offsets.at(*request.policies[i]);
    });
  }
  reply["num_tokens"] = column(results, [&](std::size_t i) { return results[i].row.num_tokens; });
  reply["truncated"] = column(results, [&](std::size_t i) { return results[i].row.truncated; });
  add_errors(results, reply);
  return reply;
}

/// vLLM's and OpenAI's lists of objects. `add` fills an entry with its score.
template <typename Add>
Json list_reply(const ApiRequest& request, std::span<const ScoreResult> results,
                const ReplyFacts& facts, const char* object, const Add& add) {
  Json data = Json::array();
  for (std::size_t i = 0; i < results.size(); ++i) {
    Json entry = {{"index", i}, {"object", object}};
    add(entry,
        results[i].row.error ? std::optional<float>() : activated(request, results[i].row.score));
    if (results[i].row.error) entry["error"] = error_object(results[i]);
    data.push_back(std::move(entry));
  }
  return {{"id", facts.id},       {"object", "list"},        {"created", facts.created_s},
          {"model", facts.model}, {"data", std::move(data)}, {"usage", usage(results)}};
}

Json list_of(const std::optional<float>& score) {
  return score ? Json::array({number(*score)}) : Json();
}

}  // namespace

std::string error_body(int status, std::string_view message) {
  const char* type = status == 401   ? "AuthenticationError"
                     : status == 404 ? "NotFoundError"
                     : status >= 500 ? "ServerError"
                                     : "BadRequestError";
  return dump({{"error",
                {{"message", std::string(message)},
                 {"type", type},
                 {"param", nullptr},
                 {"code", status}}}});
}

ApiReply format_reply(const ApiRequest& request, std::span<const ScoreResult> results,
                      const PolicyOffsets* offsets, const ReplyFacts& facts) {
  const bool has_score = std::any_of(results.begin(), results.end(), [](const ScoreResult& result) {
    return !result.row.error.has_value();
  });
  if (!has_score && (request.shape != Shape::kScore || results.front().server_fault)) {
    const int status = results.front().server_fault ? 500 : 400;
    return {.status = status, .body = error_body(status, *results.front().row.error)};
  }
  Json reply;
  switch (request.shape) {
    case Shape::kScore:
      reply = score_reply(request, results, offsets, facts);
      break;
    case Shape::kClassify:
      reply = list_reply(request, results, facts, "classify", [](Json& entry, const auto& score) {
        entry["label"] = "LABEL_0";
        entry["probs"] = list_of(score);
        entry["num_classes"] = 1;
      });
      break;
    case Shape::kPooling:
      reply = list_reply(request, results, facts, "pooling", [](Json& entry, const auto& score) {
        entry["data"] = list_of(score);
        entry["probs"] = list_of(score);
      });
      break;
    case Shape::kEmbeddings:
      reply = list_reply(request, results, facts, "embedding",
                         [&](Json& entry, const std::optional<float>& score) {
                           entry["embedding"] = request.base64 && score
                                                    ? Json(base64_of_score(*score))
                                                    : list_of(score);
                         });
      break;
    case Shape::kGetReward: {
      const Json rewards = scores(request, results);
      reply = {{"rewards", rewards}, {"scores", rewards}, {"extra_logs", Json::object()}};
      add_errors(results, reply);
      break;
    }
    case Shape::kScoreEvaluation:
      reply = {{"id", facts.id},
               {"object", "score.evaluation"},
               {"model", facts.model},
               {"scores", scores(request, results)},
               {"usage", usage(results)}};
      add_errors(results, reply);
      break;
  }
  return {.status = 200, .body = dump(reply)};
}

}  // namespace charm::serve
