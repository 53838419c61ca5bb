#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/serve/score_queue.h"

namespace charm::serve {

/// The request shapes of POST, each at a path of its own (docs/serve.md).
enum class Shape {
  kScore,            ///< /score: conversations
  kClassify,         ///< /classify, vLLM
  kPooling,          ///< /pooling, vLLM
  kEmbeddings,       ///< /v1/embeddings, OpenAI's form, as SGLang serves reward models
  kGetReward,        ///< /get_reward, OpenRLHF
  kScoreEvaluation,  ///< /v1/score/evaluation, LLaMA-Factory
};

std::optional<Shape> shape_of_path(std::string_view path);
std::span<const std::string_view> post_paths();

/// A parsed request.
struct ApiRequest {
  Shape shape = Shape::kScore;
  std::vector<ScoreInput> inputs;
  std::vector<std::optional<std::string>> policies;  ///< kScore: of each conversation
  std::string model;                                 ///< as asked for; empty: none
  bool use_activation = false;                       ///< sigmoid of the score
  bool base64 = false;                               ///< kEmbeddings: encoding_format
};

/// Offsets by policy, in score units.
struct PolicyOffsets {
  std::string file;
  std::map<std::string, double> offsets;
};

/// Throws kInput naming the field. `offsets`: nullptr without --calibration.
ApiRequest parse_request(Shape shape, std::string_view body, const PolicyOffsets* offsets);

/// What a reply is about besides its results.
struct ReplyFacts {
  std::string model;
  std::string id;
  std::int64_t created_s = 0;  ///< Unix time
};

struct ApiReply {
  int status = 200;
  std::string body;
};

/// The reply in the request's shape. Conversations without a score have null and an error beside
/// it; in the shapes of other servers, a request without any score is an error.
ApiReply format_reply(const ApiRequest& request, std::span<const ScoreResult> results,
                      const PolicyOffsets* offsets, const ReplyFacts& facts);

/// {"error": {"message", "type", "code"}}, as OpenAI's and vLLM's servers write it.
std::string error_body(int status, std::string_view message);

}  // namespace charm::serve
