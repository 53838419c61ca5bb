#include "charm/generate/server_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/base/temp_folder.h"

namespace charm::generate {
namespace {

using charm::testing::error_of;
using ::testing::HasSubstr;
using Kind = CompletionResult::Kind;

ServerOptions options_for(const std::string& model) {
  ServerOptions options;
  options.model = model;
  return options;
}

CompletionResult read(int status, const std::string& body, const std::string& model = "tiny") {
  hub::HttpResponse response;
  response.status = status;
  response.body = body;
  return parse_completion(response, options_for(model));
}

TEST(ServerProtocol, NormalisesUrls) {
  for (const char* url :
       {"http://a:8000", "http://a:8000/", "http://a:8000/v1", "http://a:8000/v1/",
        "http://a:8000/v1/chat/completions", "http://a:8000/v1/completions"}) {
    EXPECT_EQ(api_base(url), "http://a:8000/v1") << url;
  }
  EXPECT_EQ(api_base("https://host/api/v3"), "https://host/api/v3");
  EXPECT_EQ(server_root("http://a:8000/v1"), "http://a:8000");
  EXPECT_EQ(error_of([] { api_base("a:8000"); }).kind(), ErrorKind::kUsage);
}

TEST(ServerProtocol, SeedsAreAFunctionOfSeedPromptAndSample) {
  EXPECT_EQ(request_seed(1, "p", 0), request_seed(1, "p", 0));
  std::set<std::int64_t> seeds = {request_seed(1, "p", 0), request_seed(2, "p", 0),
                                  request_seed(1, "q", 0), request_seed(1, "p", 1)};
  EXPECT_EQ(seeds.size(), 4u);
  for (const std::int64_t seed : seeds) EXPECT_TRUE(seed >= 0 && seed < (std::int64_t{1} << 31));
}

TEST(ServerProtocol, SendsOnlyWhatTheUserSet) {
  ServerOptions options = options_for("m");
  SamplingOptions sampling;
  auto body = common_fields(options, sampling, ServerKind::kOther);
  EXPECT_EQ(body.dump(),
            R"({"model":"m","max_tokens":4096,"temperature":0.7,"top_p":0.9,"stream":false})");
  options.top_k = 0;
  options.min_p = 0.1;
  options.repetition_penalty = 1.2;
  options.extra_body = R"({"temperature":0.1,"chat_template_kwargs":{"enable_thinking":false}})";
  sampling.stop = {"###"};
  sampling.stop_token_ids = {5};
  body = common_fields(options, sampling, ServerKind::kOther);
  EXPECT_EQ(body["top_k"], -1);
  EXPECT_EQ(body["min_p"], 0.1);
  EXPECT_EQ(body["repetition_penalty"], 1.2);
  EXPECT_EQ(body["temperature"], 0.1);
  EXPECT_EQ(body["stop"], nlohmann::json({"###"}));
  EXPECT_EQ(body["stop_token_ids"], nlohmann::json({5}));
  EXPECT_EQ(body["chat_template_kwargs"]["enable_thinking"], false);
  body = common_fields(options, sampling, ServerKind::kLlamaCpp);
  EXPECT_EQ(body["top_k"], 0);
  EXPECT_EQ(body["repeat_penalty"], 1.2);
  EXPECT_FALSE(body.contains("repetition_penalty"));
  options.extra_body = "[1]";
  EXPECT_EQ(error_of([&] { common_fields(options, sampling, ServerKind::kOther); }).kind(),
            ErrorKind::kUsage);
}

TEST(ServerProtocol, ParsesResponsesOfBothEndpoints) {
  CompletionResult completion = read(
      200,
      R"({"model":"tiny","choices":[{"message":{"role":"assistant","content":" a\n"},"finish_reason":"length"}],
                                  "usage":{"prompt_tokens":5,"completion_tokens":2}})");
  EXPECT_EQ(completion.kind, Kind::kOk);
  EXPECT_EQ(completion.result.response, " a\n");
  EXPECT_EQ(completion.result.finish_reason, "length");
  EXPECT_EQ(completion.result.num_tokens, 2);
  EXPECT_EQ(completion.result.num_prompt_tokens, 5);
  completion = read(
      200, R"({"choices":[{"text":"","finish_reason":"eos_token"}]})");  // TGI: no usage, no model,
                                                                         // an empty response
  EXPECT_EQ(completion.kind, Kind::kOk);
  EXPECT_EQ(completion.result.response, "");
  EXPECT_EQ(completion.result.finish_reason, "stop");
  EXPECT_EQ(completion.result.num_tokens, 0);
  EXPECT_EQ(read(200, R"({"choices":[{"text":"x"}]})").result.finish_reason, "");
}

TEST(ServerProtocol, FinishReasonsOfFailedResponses) {
  const auto finished = [](const std::string& reason) {
    return read(200,
                R"({"choices":[{"message":{"content":"half a"},"finish_reason":)" + reason + "}]}");
  };
  for (const char* reason : {"null", R"("error")", R"("abort")"}) {
    EXPECT_EQ(finished(reason).kind, Kind::kRetry) << reason;
    EXPECT_THAT(finished(reason).why, HasSubstr("finish_reason is"));
  }
  for (const char* reason : {R"("content_filter")", R"("SAFETY")"}) {
    EXPECT_EQ(finished(reason).kind, Kind::kRejected) << reason;
    EXPECT_THAT(finished(reason).why, HasSubstr("content filter"));
  }
  EXPECT_EQ(finished(R"("stop")").kind, Kind::kOk);
}

TEST(ServerProtocol, ErrorsInsideOfSuccessfulResponses) {
  // OpenRouter's form, in the choice; the code is the provider's status.
  CompletionResult completion =
      read(200,
           R"({"choices":[{"error":{"code":502,"message":"provider down"},"finish_reason":"error",
          "message":{"content":"half"}}]})");
  EXPECT_EQ(completion.kind, Kind::kRetry);
  EXPECT_THAT(completion.why, HasSubstr("provider down"));
  completion = read(200, R"({"error":{"message":"too long","code":"400"},)"
                         R"("choices":[{"text":"x","finish_reason":"stop"}]})");
  EXPECT_EQ(completion.kind, Kind::kRejected);
  EXPECT_THAT(completion.why, HasSubstr("too long"));
  completion = read(200, R"({"choices":[{"message":{"content":"x","error":"broken"}}]})");
  EXPECT_EQ(completion.kind, Kind::kRetry);
  EXPECT_THAT(completion.why, HasSubstr("broken"));
  completion = read(200, R"({"object":"error","message":"NaN in logits","code":500})");
  EXPECT_EQ(completion.kind, Kind::kRetry);
  EXPECT_THAT(completion.why, HasSubstr("NaN in logits"));
  EXPECT_EQ(read(200, R"({"error":{"message":"slow down","code":429}})").kind, Kind::kThrottled);
  EXPECT_EQ(read(200, R"({"error":null,"choices":[{"text":"x","error":{}}]})").kind, Kind::kOk);
}

TEST(ServerProtocol, ReasoningWithoutAnAnswerIsAnError) {
  for (const char* field : {"reasoning_content", "reasoning"}) {
    for (const char* content : {"null", R"("")", R"("\n")"}) {
      const CompletionResult completion =
          read(200, std::string(R"({"choices":[{"finish_reason":"length","message":{"content":)") +
                        content + R"(,")" + field + R"(":"Let me think"}}]})");
      EXPECT_EQ(completion.kind, Kind::kRejected);
      EXPECT_THAT(completion.why,
                  ::testing::AllOf(HasSubstr("--max-new-tokens"), HasSubstr("reasoning parser")));
    }
  }
  const CompletionResult both = read(
      200, R"({"choices":[{"message":{"content":"4","reasoning":"2+2"},"finish_reason":"stop"}]})");
  EXPECT_EQ(both.kind, Kind::kOk);
  EXPECT_EQ(both.result.response, "4");
  const CompletionResult refused = read(
      200,
      R"({"choices":[{"message":{"content":null,"refusal":"I can't"},"finish_reason":"stop"}]})");
  EXPECT_EQ(refused.kind, Kind::kRejected);
  EXPECT_THAT(refused.why, HasSubstr("refused: I can't"));
  EXPECT_EQ(read(200, R"({"choices":[{"message":{"content":"","refusal":null}}]})").kind,
            Kind::kOk);
}

TEST(ServerProtocol, ContentInParts) {
  const auto content = [](const std::string& parts) {
    return read(200,
                R"({"choices":[{"finish_reason":"stop","message":{"content":)" + parts + "}}]}");
  };
  const CompletionResult joined =
      content(R"([{"type":"text","text":"a "},{"type":"text","text":"b"}])");
  EXPECT_EQ(joined.kind, Kind::kOk);
  EXPECT_EQ(joined.result.response, "a b");
  const CompletionResult image =
      content(R"([{"type":"text","text":"a"},{"type":"image_url","image_url":{}}])");
  EXPECT_EQ(image.kind, Kind::kRejected);
  EXPECT_THAT(image.why, HasSubstr("image_url"));
  EXPECT_THAT(content(R"([{"type":"refusal","refusal":"no"}])").why, HasSubstr("refused: no"));
  EXPECT_EQ(content(R"([{"type":"text"}])").kind, Kind::kRejected);
  EXPECT_EQ(content("[7]").kind, Kind::kRejected);
  EXPECT_THAT(content(R"([{"type":"thinking","thinking":[]}])").why, HasSubstr("reasoning"));
}

TEST(ServerProtocol, InvalidResponses) {
  EXPECT_EQ(read(200, "").kind, Kind::kRetry);
  EXPECT_EQ(read(200, R"({"choices":[{"message":{"con)").kind, Kind::kRetry);
  EXPECT_THAT(read(200, "<!DOCTYPE html><html>").why, HasSubstr("HTML"));
  EXPECT_EQ(read(200, R"({"choices":[]})").kind, Kind::kRetry);
  EXPECT_EQ(read(200, R"({"choices":null})").kind, Kind::kRetry);
  EXPECT_EQ(read(200, "[]").kind, Kind::kRetry);
  EXPECT_EQ(read(200, R"({"choices":[{"message":{"content":null,"tool_calls":[]}}]})").kind,
            Kind::kRejected);
  EXPECT_EQ(read(200, R"({"error":{"message":"overloaded","code":503}})").kind, Kind::kRetry);
  EXPECT_EQ(read(200, R"({"error":{"message":"bad","code":400}})").kind, Kind::kRejected);
  EXPECT_EQ(read(200, R"({"error":"broken"})").kind, Kind::kRetry);
}

TEST(ServerProtocol, MapsStatusCodes) {
  for (const int status : {401, 402, 403, 404, 405, 307})
    EXPECT_EQ(read(status, "").kind, Kind::kFatal) << status;
  for (const int status : {400, 413, 422})
    EXPECT_EQ(read(status, "").kind, Kind::kRejected) << status;
  for (const int status : {408, 500, 502, 503, 504, 529})
    EXPECT_EQ(read(status, "").kind, Kind::kRetry) << status;
  EXPECT_EQ(read(429, "").kind, Kind::kThrottled);
  EXPECT_EQ(
      read(429, R"({"error":{"message":"You exceeded your quota","code":"insufficient_quota"}})")
          .kind,
      Kind::kFatal);
  EXPECT_THAT(read(404, R"({"error":{"message":"The model `tiny` does not exist."}})").why,
              HasSubstr("--server-model"));
  EXPECT_THAT(read(401, "").why, HasSubstr("--api-key-env"));
}

TEST(ServerProtocol, AnotherModelIsFatal) {
  const auto kind = [](const std::string& asked, const std::string& found) {
    return read(200, nlohmann::json{{"model", found}, {"choices", {{{"text", "x"}}}}}.dump(), asked)
        .kind;
  };
  EXPECT_EQ(kind("Qwen/Qwen2-7B", "Qwen/Qwen2-72B"), Kind::kFatal);
  EXPECT_EQ(kind("gpt-4o", "gpt-4o-mini-2024-07-18"), Kind::kFatal);
  EXPECT_EQ(kind("tiny", "tiny"), Kind::kOk);
  EXPECT_EQ(kind("gpt-4o", "gpt-4o-2024-08-06"), Kind::kOk);
  EXPECT_EQ(kind("Qwen/Qwen2-7B", "/models/qwen2-7b/"), Kind::kOk);
  EXPECT_EQ(kind("smollm2", "/data/SmolLM2.gguf"), Kind::kOk);
  ServerOptions options = options_for("tgi");
  options.accepted_models = {"HuggingFaceTB/SmolLM2"};
  EXPECT_TRUE(is_same_model(options, "HuggingFaceTB/SmolLM2"));
  EXPECT_FALSE(is_same_model(options, "other"));
}

TEST(ServerProtocol, ModelLists) {
  EXPECT_TRUE(parse_model_list("{}").names.empty());
  EXPECT_TRUE(parse_model_list("nonsense").names.empty());
  const ModelList list =
      parse_model_list(R"({"data":[{"id":"a","owned_by":"vllm"},{"id":"b"},{"no":"id"}]})");
  EXPECT_THAT(list.names, ::testing::ElementsAre("a", "b"));
  EXPECT_EQ(list.kind, ServerKind::kOther);
  EXPECT_EQ(parse_model_list(R"({"data":[{"id":"a","owned_by":"llamacpp"}]})").kind,
            ServerKind::kLlamaCpp);
}

}  // namespace
}  // namespace charm::generate
