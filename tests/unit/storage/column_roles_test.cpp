// The closed table of types: every entry is read from an Arrow file, and from Parquet where that
// has the type.
#include <arrow/api.h>
#include <arrow/extension/json.h>
#include <arrow/extension/uuid.h>
#include <arrow/io/file.h>
#include <arrow/ipc/writer.h>
#include <arrow/json/from_string.h>
#include <arrow/util/key_value_metadata.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>

#include <map>
#include <nlohmann/json.hpp>

#include "charm/records/response.h"
#include "charm/records/score.h"
#include "charm/storage/ratings.h"
#include "charm/storage/record_reader.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

using arrow::ArrayVector;
using charm::testing::error_of;
using charm::testing::TempFolder;
using ::testing::HasSubstr;
using Type = std::shared_ptr<arrow::DataType>;
using Arrays = std::shared_ptr<arrow::Array>;
using Columns = std::vector<std::pair<std::string, Arrays>>;

template <typename T>
T value(arrow::Result<T> result) {
  if (!result.ok()) throw Error(ErrorKind::kInternal, "{}", result.status().ToString());
  return std::move(result).ValueUnsafe();
}

void ok(const arrow::Status& status) {
  if (!status.ok()) throw Error(ErrorKind::kInternal, "{}", status.ToString());
}

Arrays array(const Type& type, const std::string& json) {
  return value(arrow::json::ArrayFromJSONString(type, json));
}

Arrays texts(const std::string& json) { return array(arrow::utf8(), json); }

// One value of a type that ArrayFromJSONString cannot make of JSON, from bytes.
Arrays bytes(const Type& type, const std::string& content) {
  arrow::BinaryBuilder builder;
  ok(builder.Append(content));
  const auto made = value(builder.Finish());
  auto data = made->data()->Copy();
  if (type->id() == arrow::Type::FIXED_SIZE_BINARY)
    data = arrow::ArrayData::Make(type, 1, {nullptr, arrow::Buffer::FromString(content)});
  data->type = type;
  return arrow::MakeArray(data);
}

Arrays extended(const std::shared_ptr<arrow::DataType>& type, const Arrays& storage) {
  return arrow::ExtensionType::WrapArray(type, storage);
}

Arrays run_ends(const Arrays& values) {
  const auto ends = array(arrow::int32(), fmt::format("[{}]", values->length()));
  return value(arrow::RunEndEncodedArray::Make(values->length(), ends, values->Slice(0, 1)));
}

enum class Format { kArrow, kStream, kParquet };

// Writes a file named f and returns its path.
fs::path write(const TempFolder& folder, const Columns& columns, Format format,
               const std::map<std::string, std::string>& metadata = {}) {
  arrow::FieldVector fields;
  ArrayVector arrays;
  for (const auto& [name, column] : columns) {
    fields.push_back(arrow::field(name, column->type()));
    arrays.push_back(column);
  }
  auto schema = arrow::schema(fields);
  if (!metadata.empty()) {
    std::unordered_map<std::string, std::string> pairs(metadata.begin(), metadata.end());
    schema = schema->WithMetadata(std::make_shared<arrow::KeyValueMetadata>(pairs));
  }
  const auto table = arrow::Table::Make(schema, arrays);
  const fs::path path = folder / (format == Format::kParquet ? "f.parquet" : "f.arrow");
  const auto sink = value(arrow::io::FileOutputStream::Open(path.string()));
  if (format == Format::kParquet) {
    ok(parquet::arrow::WriteTable(
        *table, arrow::default_memory_pool(), sink, 1000, parquet::default_writer_properties(),
        parquet::ArrowWriterProperties::Builder().store_schema()->build()));
  } else {
    const auto writer = format == Format::kArrow
                            ? value(arrow::ipc::MakeFileWriter(sink, schema))
                            : value(arrow::ipc::MakeStreamWriter(sink, schema));
    ok(writer->WriteTable(*table));
    ok(writer->Close());
  }
  ok(sink->Close());
  return path;
}

// A scored row with one column replaced or added.
Columns row_with(const std::string& name, const Arrays& column) {
  Columns columns = {{"prompt_id", texts(R"(["id"])")},
                     {"prompt", texts(R"(["Hi"])")},
                     {"response", texts(R"(["Yo"])")},
                     {"policy", texts(R"(["bot"])")},
                     {"score", array(arrow::float32(), "[0.5]")}};
  for (auto& [present, values] : columns) {
    if (present != name) continue;
    values = column;
    return columns;
  }
  columns.emplace_back(name, column);
  return columns;
}

// Parquet lacks some of Arrow's types.
std::optional<fs::path> try_write(const TempFolder& folder, const Columns& columns, Format format) {
  try {
    return write(folder, columns, format);
  } catch (const Error& error) {
    EXPECT_EQ(format, Format::kParquet) << error.message();
    return std::nullopt;
  }
}

// Reads a row with the column in every format.
template <typename Check>
void for_each_format(const std::string& name, const Arrays& column, const Check& check) {
  int num_read = 0;
  for (const Format format : {Format::kArrow, Format::kStream, Format::kParquet}) {
    SCOPED_TRACE(fmt::format("{}: {} in format {}", name, column->type()->ToString(),
                             static_cast<int>(format)));
    const TempFolder folder;
    const auto path = try_write(folder, row_with(name, column), format);
    if (!path) continue;
    ++num_read;
    try {
      check(*path);
    } catch (const Error& error) {
      ADD_FAILURE() << error.message();
    }
  }
  EXPECT_GE(num_read, 2);
}

void expect_row(const std::string& name, const Arrays& column,
                const std::function<void(const ScoredResponse&)>& check) {
  for_each_format(name, column, [&](const fs::path& path) {
    const auto rows = read_scored_responses(path, {});
    ASSERT_EQ(rows.size(), 1u);
    check(rows[0]);
  });
}

void expect_refusal(const std::string& name, const Arrays& column, std::string_view words) {
  for_each_format(name, column, [&](const fs::path& path) {
    const Error error = error_of([&] { read_scored_responses(path, {}); });
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.message(), HasSubstr(fmt::format("row 1: column '{}'", name)));
    EXPECT_THAT(error.message(), HasSubstr(words));
  });
}

std::vector<Arrays> all_forms_of_text(const std::string& text) {
  const std::string json = fmt::format("[\"{}\"]", text);
  const auto index = array(arrow::int8(), "[0]");
  const auto dictionary = [&](const Type& type) {
    return value(arrow::DictionaryArray::FromArrays(index, array(type, json)));
  };
  return {texts(json),
          array(arrow::large_utf8(), json),
          array(arrow::utf8_view(), json),
          array(arrow::binary(), json),
          array(arrow::large_binary(), json),
          array(arrow::binary_view(), json),
          bytes(arrow::fixed_size_binary(static_cast<int>(text.size())), text),
          dictionary(arrow::utf8()),
          dictionary(arrow::large_utf8()),
          dictionary(arrow::binary()),
          run_ends(texts(json)),
          extended(arrow::extension::json(), texts("[\"\\\"" + text + "\\\"\"]")),
          extended(arrow::extension::json(arrow::large_utf8()),
                   array(arrow::large_utf8(), "[\"\\\"" + text + "\\\"\"]"))};
}

TEST(TypeTable, TextsInEveryForm) {
  for (const Arrays& column : all_forms_of_text("some text")) {
    expect_row("response", column,
               [](const auto& row) { EXPECT_EQ(row.response.response, "some text"); });
    expect_row("policy", column,
               [](const auto& row) { EXPECT_EQ(row.response.policy, "some text"); });
    expect_row("prompt_id", column,
               [](const auto& row) { EXPECT_EQ(row.response.prompt_id, "some text"); });
    expect_row("prompt", column, [](const auto& row) {
      EXPECT_EQ(row.response.prompt, (Conversation{{"user", "some text"}}));
    });
  }
}

TEST(TypeTable, BareTextsInAJsonColumnStayTexts) {
  for (const char* text : {"true", "42", "{...}", "[1, 2]", "Hello"}) {
    expect_row("response", extended(arrow::extension::json(), texts(fmt::format("[\"{}\"]", text))),
               [&](const auto& row) { EXPECT_EQ(row.response.response, text); });
  }
  expect_row("finish_reason", extended(arrow::extension::json(), texts(R"(["null"])")),
             [](const auto& row) { EXPECT_FALSE(row.response.finish_reason.has_value()); });
  expect_refusal("response", extended(arrow::extension::json(), texts(R"(["\"\\ud800\""])")),
                 "not JSON");
}

TEST(TypeTable, AJsonObjectIsNoText) {
  const auto column = [](const char* json) {
    return extended(arrow::extension::json(), texts(nlohmann::json::array({json}).dump()));
  };
  for (const char* name : {"response", "policy", "error"}) {
    expect_refusal(name, column(R"({"text": "Four."})"),
                   "found a JSON object with the member 'text'");
    expect_refusal(name, column("{}"), "found a JSON object; store the text itself");
  }
  expect_row("response", column(R"({"role": "assistant", "content": "Four."})"),
             [](const auto& row) { EXPECT_EQ(row.response.response, "Four."); });
  expect_row("response", column(R"([{"role": "assistant", "content": "Four."}])"),
             [](const auto& row) { EXPECT_EQ(row.response.response, "Four."); });
  expect_refusal("response", column(R"([{"type": "text", "text": "Four."}])"), "'role'");
}

TEST(TypeTable, TextsRefuseAllElse) {
  const auto map = arrow::map(arrow::utf8(), arrow::utf8());
  const auto tag = arrow::dense_union({arrow::field("a", arrow::utf8())});
  const std::vector<std::pair<Arrays, const char*>> refused = {
      {array(arrow::int64(), "[1]"), "a number has no text of its own"},
      {array(arrow::float64(), "[1]"), "expected a string, found double"},
      {array(arrow::boolean(), "[true]"), "expected a string, found bool"},
      {array(arrow::decimal128(9, 2), R"(["1.50"])"), "found decimal128(9, 2)"},
      {array(arrow::date32(), "[1]"), "found date32[day]; dates, times and durations"},
      {array(arrow::time64(arrow::TimeUnit::MICRO), "[1]"), "write them as text"},
      {array(arrow::timestamp(arrow::TimeUnit::MICRO), "[1]"), "found timestamp[us]"},
      {array(arrow::duration(arrow::TimeUnit::SECOND), "[1]"), "found duration[s]"},
      {array(arrow::month_interval(), "[1]"), "found month_interval"},
      {array(map, R"([[["k", "v"]]])"), "a map has no fixed members"},
      {array(tag, R"([[0, "x"]])"), "a union has another type in each row"},
      {bytes(arrow::binary(), "\xff\xfe"), "invalid UTF-8 at byte 1"},
      {bytes(arrow::utf8(), "ok \xff"), "invalid UTF-8 at byte 4"},
      {bytes(arrow::fixed_size_binary(6), std::string("bot\0\0\0", 6)), "padded"}};
  for (const auto& [column, words] : refused) {
    expect_refusal("response", column, words);
    expect_refusal("policy", column, words);
  }
  expect_refusal("prompt", array(arrow::int64(), "[1]"), "a string or a list of messages");
  expect_refusal("policy", array(arrow::list(arrow::utf8()), R"([["x"]])"), "found list");
}

TEST(TypeTable, IdsAreTextsWholeNumbersOrUuids) {
  const std::string uuid("\x12\x34\x56\x78\x9a\xbc\xde\xf0\x01\x23\x45\x67\x89\xab\xcd\xef", 16);
  const std::vector<std::pair<Arrays, std::string>> ids = {
      {array(arrow::int8(), "[-5]"), "-5"},
      {array(arrow::uint16(), "[7]"), "7"},
      {array(arrow::int64(), "[9007199254740993]"), "9007199254740993"},
      {array(arrow::uint64(), "[18446744073709551615]"), "18446744073709551615"},
      {array(arrow::float64(), "[17]"), "17"},
      {array(arrow::float32(), "[-0.0]"), "0"},
      {array(arrow::decimal128(38, 0), R"(["12345678901234567890123"])"),
       "12345678901234567890123"},
      {array(arrow::decimal256(40, 2), R"(["7.00"])"), "7"},
      {extended(arrow::extension::uuid(), bytes(arrow::fixed_size_binary(16), uuid)),
       "12345678-9abc-def0-0123-456789abcdef"},
      {bytes(arrow::binary(), "\xff\x01"), "ff01"},
      {extended(arrow::extension::json(), texts(R"(["17"])")), "17"}};
  for (const auto& [column, id] : ids) {
    expect_row("prompt_id", column,
               [&](const auto& row) { EXPECT_EQ(row.response.prompt_id, id); });
  }
  expect_refusal("prompt_id", array(arrow::float64(), "[1.5]"), "1.5 is not a whole number");
  expect_refusal("prompt_id", array(arrow::float64(), "[1e17]"), "store ids as texts or integers");
  expect_refusal("prompt_id", array(arrow::decimal128(9, 2), R"(["1.50"])"), "1.50 is not a whole");
  expect_refusal("prompt_id", array(arrow::boolean(), "[true]"), "found bool");
  expect_refusal("prompt_id", array(arrow::timestamp(arrow::TimeUnit::SECOND), "[1]"),
                 "a whole number or a UUID, found timestamp");
  expect_refusal("prompt_id", bytes(arrow::utf8(), "\xff"), "invalid UTF-8");
  expect_refusal(
      "prompt_id",
      bytes(arrow::fixed_size_binary(16), std::string("\x01", 1) + std::string(15, '\0')),
      "neither text nor a UUID");
}

TEST(TypeTable, NumbersOfEveryType) {
  const std::vector<Arrays> numbers = {array(arrow::float16(), "[2]"),
                                       array(arrow::float32(), "[2]"),
                                       array(arrow::float64(), "[2]"),
                                       array(arrow::int8(), "[2]"),
                                       array(arrow::uint8(), "[2]"),
                                       array(arrow::int32(), "[2]"),
                                       array(arrow::uint64(), "[2]"),
                                       array(arrow::decimal32(4, 1), R"(["2.0"])"),
                                       array(arrow::decimal64(9, 3), R"(["2.000"])"),
                                       array(arrow::decimal128(20, 2), R"(["2.00"])"),
                                       array(arrow::decimal256(50, 5), R"(["2.00000"])"),
                                       run_ends(array(arrow::float32(), "[2]")),
                                       extended(arrow::extension::json(), texts(R"(["2"])"))};
  for (const Arrays& column : numbers) {
    expect_row("score", column, [](const auto& row) { EXPECT_EQ(row.score, 2.0f); });
    expect_row("num_tokens", column, [](const auto& row) { EXPECT_EQ(row.num_tokens, 2); });
  }
  expect_refusal("score", texts(R"(["2"])"), "store the column as numbers, not as texts");
  expect_refusal("score", array(arrow::boolean(), "[true]"), "expected a number, found bool");
  expect_refusal("score", array(arrow::date32(), "[1]"), "found date32[day]");
  expect_refusal("num_tokens", array(arrow::float32(), "[1.5]"), "expected a whole number");
  expect_row("truncated", array(arrow::boolean(), "[true]"),
             [](const auto& row) { EXPECT_TRUE(row.truncated); });
  expect_refusal("truncated", array(arrow::int8(), "[1]"), "expected true or false, found int8");
}

TEST(TypeTable, MessageListsInEveryForm) {
  const auto message = arrow::struct_({arrow::field("role", arrow::utf8()),
                                       arrow::field("content", arrow::large_utf8()),
                                       arrow::field("at", arrow::date32())});
  const std::string json =
      R"([[{"role":"system","content":"s","at":1},{"role":"user","content":"q"}]])";
  const Conversation expected = {{"system", "s"}, {"user", "q"}};
  const auto json_text = [](const std::string& text) {
    return extended(arrow::extension::json(), texts(nlohmann::json({text}).dump()));
  };
  const std::vector<Arrays> lists = {
      array(arrow::list(message), json),
      array(arrow::large_list(message), json),
      array(arrow::fixed_size_list(message, 2), json),
      array(arrow::list_view(message), json),
      array(arrow::large_list_view(message), json),
      run_ends(array(arrow::list(message), json)),
      array(arrow::struct_({arrow::field("role", arrow::list(arrow::utf8())),
                            arrow::field("content", arrow::list(arrow::utf8()))}),
            R"([{"role":["system","user"],"content":["s","q"]}])"),
      json_text(R"([{"role":"system","content":"s"},{"role":"user","content":"q"}])"),
      texts(nlohmann::json({R"([{"role":"system","content":"s"},{"role":"user","content":"q"}])"})
                .dump())};
  for (const Arrays& column : lists) {
    expect_row("prompt", column,
               [&](const auto& row) { EXPECT_EQ(row.response.prompt, expected); });
  }
  const auto values = extended(
      arrow::extension::json(),
      texts(
          R"(["{\"role\":\"system\",\"content\":\"s\"}","{\"role\":\"user\",\"content\":\"q\"}"])"));
  expect_row("prompt",
             value(arrow::ListArray::FromArrays(*array(arrow::int32(), "[0, 2]"), *values)),
             [&](const auto& row) { EXPECT_EQ(row.response.prompt, expected); });
  const auto contents = extended(arrow::extension::json(), texts(R"(["\"Hello\"", "true"])"));
  const auto members = value(arrow::StructArray::Make({texts(R"(["user", "user"])"), contents},
                                                      std::vector<std::string>{"role", "content"}));
  expect_row("prompt",
             value(arrow::ListArray::FromArrays(*array(arrow::int32(), "[0, 2]"), *members)),
             [&](const auto& row) {
               EXPECT_EQ(row.response.prompt, (Conversation{{"user", "Hello"}, {"user", "true"}}));
             });
  expect_refusal("prompt",
                 array(arrow::list(arrow::map(arrow::utf8(), arrow::utf8())),
                       R"([[[["role","user"],["content","q"]]]])"),
                 "a map has no fixed members");
  expect_row("prompt", json_text("[1, 2]"), [](const auto& row) {
    EXPECT_EQ(row.response.prompt, (Conversation{{"user", "[1, 2]"}}));
  });
  expect_refusal("prompt", json_text(R"([{"role":"user")"), "not JSON");
  expect_refusal("prompt", texts(R"(["[{'role': 'user', 'content': 'q'}]"])"), "json.dumps");
}

TEST(TypeTable, ColumnsThatNobodyNeedsNeverStopAFile) {
  for (const Arrays& column :
       {bytes(arrow::utf8(), "\xff"), bytes(arrow::binary(), "\xff\xd8"),
        array(arrow::date32(), "[1]"), array(arrow::map(arrow::utf8(), arrow::int8()), "[[]]")}) {
    expect_row("image", column, [](const auto& row) { EXPECT_EQ(row.score, 0.5f); });
  }
}

TEST(TypeTable, TemplateKwargsAreAStructOrJson) {
  const auto type = arrow::struct_(
      {arrow::field("enable_thinking", arrow::boolean()), arrow::field("style", arrow::utf8())});
  const std::string json = R"({"enable_thinking":false})";
  const std::string quoted = nlohmann::json::array({json}).dump();
  for (const Arrays& column : {array(type, R"([{"enable_thinking": false, "style": null}])"),
                               texts(quoted), extended(arrow::extension::json(), texts(quoted))}) {
    expect_row("chat_template_kwargs", column,
               [&](const auto& row) { EXPECT_EQ(row.response.prompt.template_kwargs, json); });
  }
  const auto map = arrow::map(arrow::utf8(), arrow::boolean());
  expect_refusal("chat_template_kwargs", array(arrow::int64(), "[3]"), "found 3");
  expect_refusal("chat_template_kwargs", array(arrow::list(arrow::utf8()), R"([["x"]])"),
                 "found array");
  expect_refusal("chat_template_kwargs", array(map, R"([[["enable_thinking", true]]])"),
                 "a map has no fixed members");
}

TEST(TypeTable, EveryShardIsReadByItsOwnSchema) {
  const TempFolder folder, parts;
  const auto add = [&](int part, const Columns& columns) {
    fs::rename(write(folder, columns, Format::kParquet),
               parts / fmt::format("part-{}.parquet", part));
  };
  add(0, row_with("response", texts(R"(["one"])")));
  Columns other = row_with("response", array(arrow::large_utf8(), R"(["two"])"));
  other[0].second = texts(R"(["other id"])");
  other[4].second = array(arrow::int64(), "[2]");
  add(1, other);
  const auto rows = read_scored_responses(parts.path(), {});
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].response.response, "one");
  EXPECT_EQ(rows[1].response.response, "two");
  EXPECT_EQ(rows[1].score, 2.0f);
  add(2, row_with("response", array(arrow::date32(), "[1]")));
  EXPECT_THAT(error_of([&] { read_scored_responses(parts.path(), {}); }).message(),
              AllOf(HasSubstr("part-2.parquet, row 1: column 'response'"), HasSubstr("date32")));
}

TEST(TypeTable, TwoNeededColumnsOfOneNameAreRefused) {
  const TempFolder folder;
  for (const Format format : {Format::kArrow, Format::kParquet}) {
    Columns columns = row_with("extra", texts(R"(["a"])"));
    columns.emplace_back("extra", texts(R"(["b"])"));
    EXPECT_EQ(read_responses(write(folder, columns, format), {}).size(), 1u);
    columns.emplace_back("response", texts(R"(["b"])"));
    EXPECT_THAT(error_of([&] { read_responses(write(folder, columns, format), {}); }).message(),
                HasSubstr("two columns are named 'response'"));
  }
  const fs::path lines =
      folder.file("a.jsonl", R"({"prompt":"a","response":"x","x":1,"x":2,"response":"y"})");
  EXPECT_THAT(error_of([&] { read_responses(lines, {}); }).message(),
              HasSubstr("two columns are named 'response'"));
  const fs::path other = folder.file("b.jsonl", R"({"prompt":"a","response":"x","x":1,"x":2})");
  EXPECT_EQ(read_responses(other, {}).size(), 1u);
}

TEST(TypeTable, ClassLabelsHaveTheirNames) {
  const TempFolder folder;
  const std::string metadata =
      R"({"info":{"features":{"winner":{"names":["model_a","model_b","tie"],"_type":"ClassLabel"},
          "model_a":{"names":["x","y"],"_type":"ClassLabel"}}}})";
  const Columns columns = {{"model_a", array(arrow::int64(), "[1]")},
                           {"model_b", texts(R"(["z"])")},
                           {"winner", array(arrow::int64(), "[2]")}};
  for (const Format format : {Format::kArrow, Format::kStream, Format::kParquet}) {
    std::vector<Battle> battles;
    for_each_battle(write(folder, columns, format, {{"huggingface", metadata}}), {}, {},
                    [&](Battle&& battle) { battles.push_back(std::move(battle)); });
    ASSERT_EQ(battles.size(), 1u);
    EXPECT_EQ(battles[0].model_a, "y");
    EXPECT_EQ(battles[0].outcome, 0.5);
  }
}

// The row is named however deep in the file it is.
TEST(TypeTable, OneWrongRowAmongManyIsNamed) {
  constexpr int kRows = 100000;
  constexpr int kWrong = 70000;
  arrow::StringBuilder responses, prompts;
  for (int i = 1; i <= kRows; ++i) {
    ok(responses.Append(i == kWrong ? "bad \xff" : "fine"));
    ok(prompts.Append(std::to_string(i)));
  }
  const Columns columns = {{"prompt", value(prompts.Finish())},
                           {"response", value(responses.Finish())}};
  for (const Format format : {Format::kArrow, Format::kStream, Format::kParquet}) {
    const TempFolder folder;
    const fs::path path = write(folder, columns, format);
    EXPECT_THAT(error_of([&] { read_responses(path, {}); }).message(),
                HasSubstr("row 70000: column 'response': invalid UTF-8 at byte 5"));
    EXPECT_EQ(read_responses(path, {.max_bad_rows = 1}).size(), kRows - 1u);
  }
}

TEST(TypeTable, IdsOfTwoTypesThatShareNoneAreNamed) {
  const TempFolder folder;
  const Columns numbers = {{"prompt_id", array(arrow::int64(), "[1]")},
                           {"score", array(arrow::float64(), "[1]")}};
  const fs::path a = write(folder, numbers, Format::kParquet);
  const fs::path b = folder.file("b.jsonl", R"({"prompt_id":"0001","score":1})");
  const std::string message = error_of([&] { read_score_files(std::vector{a, b}, {}); }).message();
  EXPECT_THAT(message, HasSubstr("int64 in the one ('1') and string in the other ('0001')"));
  const fs::path c = folder.file("c.jsonl", R"({"prompt_id":"1","score":1})");
  EXPECT_EQ(read_score_files(std::vector{a, c}, {}).size(), 2u);
}

}  // namespace
}  // namespace charm::storage
