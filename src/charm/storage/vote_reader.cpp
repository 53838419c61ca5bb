#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "charm/base/error.h"
#include "charm/storage/row_fields.h"
#include "charm/storage/vote_rows.h"
#include "charm/storage/votes.h"

namespace charm::storage {
namespace {

using Json = nlohmann::ordered_json;

const std::vector<std::string> kVoteColumns = {
    "prompt_id", "question_id", "question",       "model_a",        "model_b",    "winner",
    "is_tie",    "judge",       "winner_model_a", "winner_model_b", "winner_tie", "turn"};

// Members of a row that are numbers or texts, as a text; a list (the judge of MT-bench's verdicts)
// as its source. 80.0 is the id 80, as in every other file.
std::string word_of(const Json& row, const char* column) {
  const auto place = row.find(column);
  if (place == row.end() || place->is_null()) return "";
  return place->is_structured() ? place->dump() : id_of(Value(*place), column);
}

std::optional<std::int32_t> turn_of(const Json& row) {
  const auto place = row.find("turn");
  if (place == row.end() || place->is_null()) return std::nullopt;
  const double turn = place->is_number() ? place->get<double>() : 0.0;
  if (turn >= 1.0 && turn <= 10000.0 && turn == std::floor(turn))
    return static_cast<std::int32_t>(turn);
  throw Error(ErrorKind::kInput, "turn is {}, expected a whole number from 1", place->dump());
}

Vote vote_of(const Json& row) {
  Vote vote{.prompt_id = word_of(row, "prompt_id"),
            .model_a = model_name_of(row, "model_a"),
            .model_b = model_name_of(row, "model_b"),
            .outcome = outcome_of(row),
            .judge = word_of(row, "judge"),
            .question = word_of(row, "question_id"),
            .turn = turn_of(row)};
  if (vote.question.empty()) vote.question = word_of(row, "question");
  check_distinct_models(vote.model_a, vote.model_b);
  return vote;
}

// Cut after the turn-th response of the assistant.
void cut_after_turn(Conversation& conversation, std::int32_t turn, const std::string& column) {
  std::int32_t responses = 0;
  for (std::size_t i = 0; i < conversation.size(); ++i) {
    responses += conversation[i].role == "assistant" ? 1 : 0;
    if (responses < turn) continue;
    conversation.resize(i + 1);
    return;
  }
  throw Error(ErrorKind::kInput, "turn is {}, but {} has {} responses", turn, column, responses);
}

// Turns of a prompt column: 55k has the JSON of a list of texts.
std::vector<std::string> prompt_turns(const Json& prompt) {
  const std::optional<Json> list = turn_list(prompt);
  if (!list) return {content_text(prompt)};
  std::vector<std::string> turns;
  for (const Json& turn : *list) turns.push_back(content_text(turn));
  return turns;
}

bool is_message_list(const Json& value) {
  const std::optional<Json> list = json_list(value);
  return list && !list->empty() && list->front().is_object() && list->front().contains("role");
}

// Arena's 140k set has every text as a list of one part. Templates of text models take texts: some
// refuse a list, others write its source into the conversation.
void join_parts(Conversation& conversation) {
  for (Message& message : conversation) {
    if (!message.members.starts_with("{\"content\":[")) continue;
    Json members = Json::parse(message.members);
    members.erase("content");
    Json turn = {{"role", message.role}, {"content", message.content}};
    turn.update(members);
    message = conversation_of(turn, "content").front();
  }
}

Conversation conversation_of_side(const Json& row, const std::string& side) {
  const std::string column = "conversation_" + side;
  if (is_present(row, column.c_str())) {
    const std::optional<Json> turns = json_list(row[column]);
    return conversation_of(turns ? *turns : row[column], column);
  }
  const std::string response = response_column(row, side);
  if (response.empty() || !is_present(row, "prompt")) {
    throw Error(ErrorKind::kInput,
                "the vote has no texts: expected conversation_{0}, or prompt and response_{0}; "
                "scores need both answers",
                side);
  }
  if (is_message_list(row["prompt"])) {
    Conversation conversation = conversation_of(*json_list(row["prompt"]), "prompt");
    conversation.push_back({"assistant", row[response].get<std::string>()});
    return conversation;
  }
  const std::vector<std::string> prompts = prompt_turns(row["prompt"]);
  const std::vector<std::string> responses = response_turns(row, response);
  if (prompts.size() != responses.size() || prompts.empty()) {
    throw Error(ErrorKind::kInput, "prompt has {} turns, but {} has {}", prompts.size(), response,
                responses.size());
  }
  Conversation conversation;
  for (std::size_t turn = 0; turn < prompts.size(); ++turn) {
    conversation.push_back({"user", prompts[turn]});
    conversation.push_back({"assistant", responses[turn]});
  }
  return conversation;
}

// Up to the first user turn, with the system message before it.
Conversation first_prompt(const Conversation& conversation) {
  const auto user = std::ranges::find(conversation, "user", &Message::role);
  const auto num_turns = static_cast<std::size_t>(user - conversation.begin());
  return leading_turns(conversation, std::min(num_turns + 1, conversation.size()));
}

void check_one_prompt(const VoteTexts& texts) {
  const auto first = [](const Conversation& conversation) {
    const auto user = std::ranges::find(conversation, "user", &Message::role);
    return user == conversation.end() ? std::string() : user->content;
  };
  if (first(texts.conversation_a) == first(texts.conversation_b)) return;
  throw Error(ErrorKind::kInput,
              "conversation_a and conversation_b begin with different prompts; a vote is between "
              "two responses to one prompt");
}

VoteTexts vote_with_texts(const Json& row) {
  VoteTexts texts{.vote = vote_of(row),
                  .conversation_a = conversation_of_side(row, "a"),
                  .conversation_b = conversation_of_side(row, "b")};
  for (const auto& [conversation, column] : {std::pair{&texts.conversation_a, "conversation_a"},
                                             std::pair{&texts.conversation_b, "conversation_b"}}) {
    join_parts(*conversation);
    if (texts.vote.turn) cut_after_turn(*conversation, *texts.vote.turn, column);
    if (conversation->size() < 2 || !ends_with_assistant(*conversation)) {
      throw Error(ErrorKind::kInput, "{} does not end with a response of the assistant", column);
    }
  }
  check_one_prompt(texts);
  if (texts.vote.prompt_id.empty())
    texts.vote.prompt_id = prompt_id_of(first_prompt(texts.conversation_a));
  return texts;
}

// Where the winner is not one of the three plain words.
double outcome_of_columns(const RowView& row) {
  Json columns = Json::object();
  for (const char* name : {"winner", "is_tie", "winner_model_a", "winner_model_b", "winner_tie"}) {
    const Value value = row[name];
    if (!value.is_null()) columns[name] = json_of(value, name);
  }
  return outcome_of(columns);
}

std::string text_or_number(const RowView& row, const char* column) {
  const Value value = row[column];
  return value.is_null() ? std::string() : id_of(value, column);
}

std::string required_text(const RowView& row, const char* column) {
  std::string text = text_or_number(row, column);
  if (!text.empty()) return text;
  throw Error(ErrorKind::kInput,
              "column '{}' is missing or empty; a scored-votes file has prompt_id, model_a, "
              "model_b, winner, score_a and score_b",
              column);
}

double outcome_of_view(const RowView& row) {
  const Value winner = row["winner"];
  if (winner.kind() != ValueKind::kText || row.has("is_tie")) return outcome_of_columns(row);
  if (winner.text() == "model_a") return 1.0;
  if (winner.text() == "model_b") return 0.0;
  if (winner.text() == "tie") return 0.5;
  return outcome_of_columns(row);
}

std::optional<StyleCounts> style_counts(const RowView& row, const std::string& side) {
  std::array<double, kNumStyles> counts{};
  std::size_t num_present = 0;
  for (std::size_t f = 0; f < kNumStyles; ++f) {
    const std::string column = fmt::format("{}_{}", kStyleNames[f], side);
    const std::optional<double> count = number_field(row, column);
    if (!count) continue;
    if (!(*count >= 0.0))
      throw Error(ErrorKind::kInput, "column '{}' is {}, expected a count", column, *count);
    counts[f] = *count;
    ++num_present;
  }
  if (num_present == 0) return std::nullopt;
  if (num_present < kNumStyles) {
    throw Error(ErrorKind::kInput, "{} of {} style columns of side {} are present: {}_{}",
                num_present, kNumStyles, side, fmt::join(kStyleNames, "_" + side + ", "), side);
  }
  return StyleCounts{
      .length = counts[0], .headers = counts[1], .lists = counts[2], .bold = counts[3]};
}

StyleCounts counted_style(const RowView& row, const std::string& side) {
  const std::string column = "conversation_" + side;
  const Value value = row[column];
  if (value.is_null()) {
    throw Error(ErrorKind::kInput,
                "style control needs length_{0}, headers_{0}, lists_{0} and bold_{0}, or {1} to "
                "count them in; found none of them",
                side, column);
  }
  return conversation_style(conversation_of(row, value, column));
}

ScoredVote scored_vote_of(const RowView& row, bool with_styles) {
  ScoredVote scored;
  scored.vote = {.prompt_id = required_text(row, "prompt_id"),
                 .model_a = required_text(row, "model_a"),
                 .model_b = required_text(row, "model_b"),
                 .outcome = outcome_of_view(row),
                 .judge = text_or_number(row, "judge"),
                 .question = text_or_number(row, "question"),
                 .turn = count_field(row, "turn")};
  if (scored.vote.question.empty()) scored.vote.question = text_or_number(row, "question_id");
  check_distinct_models(scored.vote.model_a, scored.vote.model_b);
  scored.error = text_field(row, "error");
  scored.style_a = style_counts(row, "a");
  scored.style_b = style_counts(row, "b");
  if (with_styles && !scored.style_a) scored.style_a = counted_style(row, "a");
  if (with_styles && !scored.style_b) scored.style_b = counted_style(row, "b");
  if (scored.error) return scored;
  const auto score = [&](const char* column) {
    const std::optional<double> value = number_field(row, column);
    if (!value) {
      throw Error(ErrorKind::kInput,
                  "column '{}' is missing or null; score the votes first: charm score --votes",
                  column);
    }
    return static_cast<float>(*value);
  };
  scored.score_a = score("score_a");
  scored.score_b = score("score_b");
  return scored;
}

/// The rows that are valid, in file order.
/// @param with_texts  the conversations are among the columns
void for_each_scored_vote(const std::filesystem::path& path, const ReadOptions& options,
                          bool with_styles, bool with_texts,
                          const std::function<void(ScoredVote&&, const RowView&)>& body) {
  std::vector<std::string> columns = kVoteColumns;
  for (const char* name : {"score_a", "score_b", "error"}) columns.emplace_back(name);
  for (const std::string_view name : kStyleNames) {
    columns.push_back(fmt::format("{}_a", name));
    columns.push_back(fmt::format("{}_b", name));
  }
  if (with_texts) columns.insert(columns.end(), {"conversation_a", "conversation_b"});
  RowReader rows(path, options, columns);
  while (const RowView* row = rows.next()) {
    std::optional<ScoredVote> vote;
    try {
      vote = scored_vote_of(*row, with_styles);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) throw;
      rows.reject(error.message());
    }
    if (vote) body(std::move(*vote), *row);
  }
  rows.finish();
}

}  // namespace

void for_each_vote(const std::filesystem::path& path, const ReadOptions& options,
                   const std::function<void(VoteTexts&&)>& body) {
  std::vector<std::string> columns = kVoteColumns;
  for (const char* name : {"prompt", "response_a", "response_b", "response_1", "response_2",
                           "conversation_a", "conversation_b"}) {
    columns.emplace_back(name);
  }
  RowReader rows(path, options, columns);
  while (const std::optional<Json> row = next_vote(rows)) {
    std::optional<VoteTexts> texts;
    try {
      texts = vote_with_texts(*row);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) throw;
      rows.reject(error.message());
    }
    if (texts) body(std::move(*texts));
  }
  rows.finish();
}

StyleCounts conversation_style(const Conversation& conversation) {
  std::string text;
  bool is_first = true;
  for (const Message& message : conversation) {
    if (message.role != "assistant") continue;
    if (!is_first) text += '\n';
    is_first = false;
    text += message.content;
  }
  return count_style(text);
}

std::vector<ScoredVote> read_scored_votes(const std::filesystem::path& path,
                                          const ReadOptions& options, bool with_styles) {
  std::vector<ScoredVote> votes;
  for_each_scored_vote(
      path, options, with_styles, /*with_texts=*/with_styles,
      [&](ScoredVote&& vote, const RowView&) { votes.push_back(std::move(vote)); });
  return votes;
}

void for_each_vote_texts(
    const std::filesystem::path& path, const ReadOptions& options,
    std::span<const std::size_t> rows,
    const std::function<void(std::size_t row, Conversation a, Conversation b)>& body) {
  std::size_t row = 0;
  auto next = rows.begin();
  for_each_scored_vote(path, options, /*with_styles=*/false, /*with_texts=*/true,
                       [&](ScoredVote&&, const RowView& view) {
                         if (next == rows.end() || *next != row++) return;
                         ++next;
                         const Value a = view["conversation_a"], b = view["conversation_b"];
                         if (a.is_null() || b.is_null()) return;
                         body(row - 1, conversation_of(view, a, "conversation_a"),
                              conversation_of(view, b, "conversation_b"));
                       });
}

VoteInputs read_vote_inputs(std::span<const std::filesystem::path> paths, bool with_styles,
                            std::int64_t max_bad_rows) {
  require_each_once(paths);
  VoteInputs inputs;
  for (const std::filesystem::path& path : paths) {
    std::vector<ScoredVote> votes = read_scored_votes(
        path, {.max_bad_rows = max_bad_rows, .split = {}, .policy = {}}, with_styles);
    const auto num_rows = static_cast<std::int64_t>(votes.size());
    inputs.files.push_back({.path = path, .sha256 = sha256_of_path(path), .num_rows = num_rows});
    inputs.votes.insert(inputs.votes.end(), std::make_move_iterator(votes.begin()),
                        std::make_move_iterator(votes.end()));
  }
  return inputs;
}

}  // namespace charm::storage
