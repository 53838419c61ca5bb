#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "charm/engine/reward_model.h"
#include "charm/score/scorer.h"
#include "charm/text/conversation_encoder.h"

namespace charm {
class OptionTable;
}

namespace charm::serve {

struct ServeOptions {
  std::filesystem::path model_dir;  ///< Hugging Face folder of the reward model
  std::string host = "127.0.0.1";   ///< address or name to listen on; 0.0.0.0: all interfaces
  std::int32_t port = 8000;         ///< 0: a free one
  std::optional<std::filesystem::path> calibration;  ///< offsets to add by policy
  std::optional<std::string> api_key_env;  ///< environment variable that holds the key; none: open
  std::optional<std::string> served_model_name;  ///< name in replies; default: the folder's name
  std::int64_t max_waiting = 4096;  ///< conversations that may wait; a full queue answers 503
  std::int64_t max_body_bytes = std::int64_t{16} << 20;  ///< larger requests are answered 413
  std::int32_t request_timeout_s = 60;  ///< a client may take this long to send a request
  engine::RewardModelOptions model;     ///< dtype, device, threads
  text::EncoderOptions encoder;         ///< length limit, truncation, BOS, template
  score::ScorerOptions scorer;          ///< token budget, pooling
};

/// All options of `charm serve`.
void describe_command(OptionTable& table, ServeOptions& options);

/// The name of the model in replies.
std::string model_name(const ServeOptions& options);

/// Where a server listens.
struct Listening {
  std::string url;
  std::string model;  ///< its name in replies
};

/// `charm serve`: loads the model and serves until SIGTERM or SIGINT; requests in flight are then
/// answered. Checks port, key, calibration before it loads the model. Throws kNetwork if the port
/// is in use.
/// @param on_listening  called once requests are accepted
void serve(const ServeOptions& options, const std::function<void(const Listening&)>& on_listening);

}  // namespace charm::serve
