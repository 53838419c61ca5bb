#include "charm/serve/api.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/support/expect_error.h"

namespace charm::serve {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const PolicyOffsets kOffsets{.file = "calibration.json",
                             .offsets = {{"gpt", 0.0}, {"simpo", -1.5}}};

ScoreResult scored(float score, std::int32_t num_tokens = 10) {
  return {.row = {.score = score, .num_tokens = num_tokens}};
}
ScoreResult failed(const std::string& error, bool server_fault = false) {
  return {.row = {.error = error}, .server_fault = server_fault};
}

json reply(const ApiRequest& request, const std::vector<ScoreResult>& results,
           const PolicyOffsets* offsets = nullptr, int status = 200) {
  const ApiReply reply =
      format_reply(request, results, offsets, {.model = "rm", .id = "charm-1", .created_s = 7});
  EXPECT_EQ(reply.status, status) << reply.body;
  return json::parse(reply.body);
}

TEST(ServeApi, ScoreTakesConversations) {
  const char* body =
      R"({"conversations": [{"messages": [{"role": "user", "content": "a"},
          {"role": "assistant", "content": [{"type": "text", "text": "b"}]}], "policy": "simpo"},
          {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"},
          {"role": "assistant", "content": "c"}], "tools": [{"name": "f"}],
          "chat_template_kwargs": {"x": 1}}]})";
  const ApiRequest request = parse_request(Shape::kScore, body, &kOffsets);
  ASSERT_EQ(request.inputs.size(), 2u);
  const auto& first = std::get<Exchange>(request.inputs[0]);
  EXPECT_EQ(first.prompt, (Conversation{{"user", "a"}}));
  EXPECT_EQ(first.response.content, "b");
  const auto& second = std::get<Exchange>(request.inputs[1]);
  EXPECT_EQ(second.prompt.size(), 2u);
  EXPECT_EQ(second.prompt.tools, R"([{"name":"f"}])");
  EXPECT_EQ(second.prompt.template_kwargs, R"({"x":1})");

  const json answer = reply(request, {scored(1.25f, 11), scored(-0.1f, 12)}, &kOffsets);
  EXPECT_EQ(answer["scores"], json::parse("[1.25, -0.10000000149011612]"));
  EXPECT_EQ(static_cast<float>(answer["scores"][1].get<double>()), -0.1f);
  EXPECT_EQ(answer["calibrated"], json::parse("[-0.25, null]"));
  EXPECT_EQ(answer["num_tokens"], json::parse("[11, 12]"));
  EXPECT_EQ(answer["truncated"], json::parse("[false, false]"));
  EXPECT_FALSE(answer.contains("errors"));
  EXPECT_FALSE(reply(request, {scored(1.0f), scored(2.0f)}).contains("calibrated"));
}

TEST(ServeApi, AConversationWithoutAScoreHasAnError) {
  const ApiRequest request = parse_request(
      Shape::kScore,
      R"({"conversations": [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}]})",
      nullptr);
  const json answer = reply(request, {failed("the template refuses it")});
  EXPECT_EQ(answer["scores"], json::parse("[null]"));
  EXPECT_EQ(answer["errors"], json::parse(R"(["the template refuses it"])"));
}

TEST(ServeApi, VllmsShapes) {
  ApiRequest request =
      parse_request(Shape::kClassify, R"({"model": "x", "input": ["t", "u"]})", nullptr);
  EXPECT_EQ(request.model, "x");
  EXPECT_EQ(std::get<std::string>(request.inputs[1]), "u");
  json answer = reply(request, {scored(2.0f, 5), scored(0.5f, 6)});
  EXPECT_EQ(answer["object"], "list");
  EXPECT_EQ(answer["data"][1]["index"], 1);
  EXPECT_EQ(answer["data"][0]["probs"], json::parse("[2.0]"));
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 11);

  request = parse_request(Shape::kPooling, R"({"input": "t", "use_activation": true})", nullptr);
  answer = reply(request, {scored(0.0f)});
  EXPECT_EQ(answer["data"][0]["data"], json::parse("[0.5]"));
  EXPECT_EQ(answer["data"][0]["probs"], json::parse("[0.5]"));

  request = parse_request(
      Shape::kClassify,
      R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})",
      nullptr);
  EXPECT_TRUE(std::holds_alternative<Exchange>(request.inputs[0]));
}

TEST(ServeApi, EmbeddingsAreFloatsOrBase64) {
  ApiRequest request = parse_request(Shape::kEmbeddings, R"({"input": ["t"]})", nullptr);
  EXPECT_EQ(reply(request, {scored(1.5f)})["data"][0]["embedding"], json::parse("[1.5]"));
  request =
      parse_request(Shape::kEmbeddings, R"({"input": "t", "encoding_format": "base64"})", nullptr);
  // python: base64.b64encode(struct.pack("<f", x))
  EXPECT_EQ(reply(request, {scored(1.5f)})["data"][0]["embedding"], "AADAPw==");
  EXPECT_EQ(reply(request, {scored(-123.456f)})["data"][0]["embedding"], "een2wg==");
}

TEST(ServeApi, OpenRlhfsAndLlamaFactorysShapes) {
  ApiRequest request =
      parse_request(Shape::kGetReward,
                    R"({"query": ["t", "u"], "prompts": ["p", "p"], "labels": null})", nullptr);
  json answer = reply(request, {scored(1.0f), failed("empty")});
  EXPECT_EQ(answer["rewards"], json::parse("[1.0, null]"));
  EXPECT_EQ(answer["scores"], answer["rewards"]);
  EXPECT_TRUE(answer["extra_logs"].is_object());
  EXPECT_EQ(answer["errors"], json::parse(R"([null, "empty"])"));

  request = parse_request(Shape::kScoreEvaluation, R"({"model": "m", "messages": ["t"]})", nullptr);
  answer = reply(request, {scored(3.0f, 4)});
  EXPECT_EQ(answer["scores"], json::parse("[3.0]"));
  EXPECT_EQ(answer["usage"]["total_tokens"], 4);
}

TEST(ServeApi, OtherShapesWithoutAnyScoreAreErrors) {
  const ApiRequest request = parse_request(Shape::kClassify, R"({"input": "t"})", nullptr);
  EXPECT_EQ(reply(request, {failed("no token")}, nullptr, 400)["error"]["message"], "no token");
  EXPECT_EQ(reply(request, {failed("bug", true)}, nullptr, 500)["error"]["code"], 500);
}

TEST(ServeApi, WrongShapesNameTheField) {
  const auto parse = [](Shape shape, const std::string& body) {
    return parse_request(shape, body, &kOffsets);
  };
  const std::string turn = R"({"role": "user", "content": "a"})";
  EXPECT_ERROR(kInput, "the body: not JSON", parse(Shape::kScore, "{"));
  EXPECT_ERROR(kInput, "the body: invalid UTF-8 at byte 12",
               parse(Shape::kScore, "{\"input\": \"\xff\"}"));
  EXPECT_ERROR(kInput, "the body: expected a JSON object, found array", parse(Shape::kScore, "[]"));
  EXPECT_ERROR(kInput, "conversations: expected a list of conversations, found none",
               parse(Shape::kScore, "{}"));
  EXPECT_ERROR(kInput, "conversations[0]: expected an object with messages, found number",
               parse(Shape::kScore, R"({"conversations": [1]})"));
  EXPECT_ERROR(kInput, "conversations[0].messages: expected a list of messages, found string",
               parse(Shape::kScore, R"({"conversations": [{"messages": "hi"}]})"));
  EXPECT_ERROR(kInput, "conversations[0].messages: the last message has role 'user'",
               parse(Shape::kScore, R"({"conversations": [{"messages": [)" + turn + "]}]}"));
  EXPECT_ERROR(kInput, "conversations[0].messages",
               parse(Shape::kScore, R"({"conversations": [{"messages": [3]}]})"));
  EXPECT_ERROR(kInput, "conversations[0].message: unknown member",
               parse(Shape::kScore, R"({"conversations": [{"message": []}]})"));
  EXPECT_ERROR(
      kInput,
      "conversations[0].policy: 'simp' is not a policy of calibration.json; nearest names: simpo",
      parse(Shape::kScore, R"({"conversations": [{"messages": [)" + turn +
                               R"(, {"role": "assistant", "content": "b"}], "policy": "simp"}]})"));
  EXPECT_ERROR(kInput, "empty", parse(Shape::kScore, R"({"conversations": []})"));
  EXPECT_ERROR(kInput, "input: expected a text or a list of texts, found none",
               parse(Shape::kClassify, "{}"));
  EXPECT_ERROR(kInput, "input[1]: expected a text, found number",
               parse(Shape::kEmbeddings, R"({"input": ["a", 2]})"));
  EXPECT_ERROR(kInput, "max_length: cannot be set by a request",
               parse(Shape::kScore, R"({"conversations": [], "max_length": 5})"));
  EXPECT_ERROR(kInput, "truncate_prompt_tokens: cannot be set by a request",
               parse(Shape::kPooling, R"({"input": "a", "truncate_prompt_tokens": 5})"));
  EXPECT_ERROR(kInput, "encoding_format: expected float or base64",
               parse(Shape::kEmbeddings, R"({"input": "a", "encoding_format": "hex"})"));
  EXPECT_ERROR(kInput, "use_activation: expected true or false, found string",
               parse(Shape::kClassify, R"({"input": "a", "use_activation": "no"})"));
  EXPECT_ERROR(kInput, "query: expected a list of texts, found string",
               parse(Shape::kGetReward, R"({"query": "a"})"));
  EXPECT_ERROR(kInput, "messages[0]: expected a text, found object",
               parse(Shape::kScoreEvaluation, R"({"messages": [{}]})"));
}

}  // namespace
}  // namespace charm::serve
