#include "charm/base/option_table.h"
#include "charm/serve/server.h"

namespace charm::serve {

void describe_command(OptionTable& table, ServeOptions& options) {
  table
      .path("model", options.model_dir, "DIR",
            "Reward model: a Hugging Face folder, hub:OWNER/NAME, or rm_config.json:NAME.")
      .required()
      .text("host", options.host, "HOST",
            "Address or name to listen on; 0.0.0.0 or :: opens the server to the network.")
      .integer("port", options.port, "N", "Port; 0 takes a free one, which is printed.")
      .within(0, 65535)
      .path("calibration", options.calibration, "FILE",
            "calibration.json: POST /score adds the offset of a conversation's policy to its score "
            "and replies with it as `calibrated`.")
      .text("api-key-env", options.api_key_env, "VAR",
            "Environment variable that holds the key that clients send as `Authorization: Bearer "
            "KEY`. Without this option everyone may ask. GET /health needs no key.")
      .text("served-model-name", options.served_model_name, "NAME",
            "Name of the model in replies; by default the name of its folder.")
      .integer("max-waiting", options.max_waiting, "N",
               "Conversations that may wait for the model; further requests are answered 503 with "
               "Retry-After. A request with more of them is taken when none waits.")
      .at_least(1)
      .integer("max-body-bytes", options.max_body_bytes, "N",
               "Largest request body in bytes; larger ones are answered 413.")
      .at_least(1024)
      .integer("request-timeout-s", options.request_timeout_s, "S",
               "Seconds that a client may take to send a request or to read its reply; then the "
               "connection is closed.")
      .at_least(1);
  engine::describe_model(table, options.model);
  text::describe_encoder(table, options.encoder);
  score::describe_scorer(table, options.scorer);
}

std::string model_name(const ServeOptions& options) {
  if (options.served_model_name) return *options.served_model_name;
  const std::filesystem::path folder = std::filesystem::absolute(options.model_dir);
  const std::string name = folder.lexically_normal().filename().string();
  return name.empty() ? folder.lexically_normal().parent_path().filename().string() : name;
}

}  // namespace charm::serve
