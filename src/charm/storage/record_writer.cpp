#include "charm/storage/record_writer.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <string>

#include "charm/base/check.h"
#include "charm/base/error.h"
#include "charm/storage/table.h"

namespace charm::storage {
namespace {

enum class Format { kParquet, kJsonl, kJsonlGzip };

Format format_of(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  if (name.ends_with(".parquet")) return Format::kParquet;
  if (name.ends_with(".jsonl")) return Format::kJsonl;
  if (name.ends_with(".jsonl.gz")) return Format::kJsonlGzip;
  throw Error(ErrorKind::kUsage,
              "{}: unknown output format: expected a name ending in .parquet, .jsonl or .jsonl.gz",
              path.string());
}

template <typename T>
Cell optional_cell(const std::optional<T>& value) {
  if (!value) return std::monostate();
  return Cell(*value);
}

bool has_members(const Conversation& conversation) {
  return std::any_of(conversation.begin(), conversation.end(),
                     [](const Message& message) { return !message.members.empty(); });
}

// What conversations of a file hold besides roles and texts: decides its columns.
struct Extras {
  bool message_members = false;
  bool response_members = false;
  bool tools = false;

  void add(const Conversation& conversation) {
    message_members = message_members || has_members(conversation);
    tools = tools || !conversation.tools.empty();
  }
  void add(const Response& row, const Conversation& prompt) {
    add(prompt);
    response_members = response_members || !row.members.empty();
  }
  ColumnType conversation_type() const {
    return message_members ? ColumnType::kMemberConversation : ColumnType::kConversation;
  }
};

Cell present_text(const std::string& text) {
  if (text.empty()) return std::monostate();
  return std::string_view(text);
}

Extras extras_of(std::span<const Response> rows) {
  Extras extras;
  for (const Response& row : rows) extras.add(row, row.prompt);
  return extras;
}

std::vector<Column> response_columns(const Extras& extras) {
  std::vector<Column> columns = {
      {"prompt_id", ColumnType::kText}, {"prompt", extras.conversation_type()},
      {"response", ColumnType::kText},  {"policy", ColumnType::kText},
      {"sample", ColumnType::kCount},   {"finish_reason", ColumnType::kText}};
  if (extras.tools) columns.push_back({"tools", ColumnType::kText});
  if (extras.response_members) columns.push_back({"response_members", ColumnType::kText});
  return columns;
}

std::vector<Cell> response_cells(const Response& row, const Conversation& prompt,
                                 const Extras& extras) {
  std::vector<Cell> cells = {
      std::string_view(row.prompt_id), &prompt,    std::string_view(row.response),
      std::string_view(row.policy),    row.sample, optional_cell(row.finish_reason)};
  if (extras.tools) cells.push_back(present_text(prompt.tools));
  if (extras.response_members) cells.push_back(present_text(row.members));
  return cells;
}

bool is_single_user_turn(const Conversation& prompt) {
  return prompt.size() == 1 && prompt[0].role == "user" && prompt[0].members.empty() &&
         prompt.tools.empty();
}

Cell text_cell(const std::vector<std::string>& texts) {
  CHARM_CHECK(texts.size() == 1, "a pair has one chosen and one rejected text, found {}",
              texts.size());
  return std::string_view(texts[0]);
}

Cell score_cell(const std::vector<double>& scores) {
  if (scores.empty()) return std::monostate();
  CHARM_CHECK(scores.size() == 1, "a pair has one score a side, found {}", scores.size());
  return scores[0];
}

Cell list_cell(const std::vector<double>& scores) {
  if (scores.empty()) return std::monostate();
  return &scores;
}

}  // namespace

void require_known_extension(const std::filesystem::path& path) { format_of(path); }

void write_table(const std::filesystem::path& path, const Table& table) {
  switch (format_of(path)) {
    case Format::kParquet:
      return write_parquet(path, table);
    case Format::kJsonl:
      return write_jsonl(path, table, /*gzip=*/false);
    case Format::kJsonlGzip:
      return write_jsonl(path, table, /*gzip=*/true);
  }
}

void write_prompts(const std::filesystem::path& path, std::span<const Prompt> rows) {
  Extras extras;
  for (const Prompt& row : rows) extras.add(row.messages);
  Table table{
      {{"prompt_id", ColumnType::kText}, {"prompt", extras.conversation_type()}}, rows.size(), {}};
  if (extras.tools) table.columns.push_back({"tools", ColumnType::kText});
  table.fill = [&](std::size_t i, std::vector<Cell>& cells) {
    cells = {std::string_view(rows[i].prompt_id), &rows[i].messages};
    if (extras.tools) cells.push_back(present_text(rows[i].messages.tools));
  };
  write_table(path, table);
}

void write_responses(const std::filesystem::path& path, std::span<const Response> rows) {
  const Extras extras = extras_of(rows);
  Table table{response_columns(extras), rows.size(), {}};
  table.columns.push_back({"num_tokens", ColumnType::kCount});
  table.fill = [&](std::size_t i, std::vector<Cell>& cells) {
    cells = response_cells(rows[i], rows[i].prompt, extras);
    cells.push_back(optional_cell(rows[i].num_tokens));
  };
  write_table(path, table);
}

void write_generated(const std::filesystem::path& path, std::span<const GeneratedResponse> rows,
                     const SamplingSettings& sampling, const Provenance& provenance) {
  Extras extras;
  for (const GeneratedResponse& row : rows) extras.add(row.response, row.response.prompt);
  Table table{response_columns(extras), rows.size(), {}, provenance};
  for (const char* name : {"num_tokens", "num_prompt_tokens"}) {
    table.columns.push_back({name, ColumnType::kCount});
  }
  table.columns.push_back({"error", ColumnType::kText});
  table.columns.push_back({"temperature", ColumnType::kDouble});
  table.columns.push_back({"top_p", ColumnType::kDouble});
  table.columns.push_back({"top_k", ColumnType::kCount});
  table.columns.push_back({"min_p", ColumnType::kDouble});
  table.columns.push_back({"repetition_penalty", ColumnType::kDouble});
  table.columns.push_back({"max_new_tokens", ColumnType::kCount});
  table.fill = [&](std::size_t i, std::vector<Cell>& cells) {
    const GeneratedResponse& row = rows[i];
    cells = response_cells(row.response, row.response.prompt, extras);
    if (row.error) cells[2] = std::monostate();
    cells.push_back(optional_cell(row.response.num_tokens));
    cells.push_back(optional_cell(row.num_prompt_tokens));
    cells.push_back(optional_cell(row.error));
    cells.push_back(sampling.temperature);
    cells.push_back(sampling.top_p);
    cells.push_back(optional_cell(sampling.top_k));
    cells.push_back(optional_cell(sampling.min_p));
    cells.push_back(optional_cell(sampling.repetition_penalty));
    cells.push_back(sampling.max_new_tokens);
  };
  write_table(path, table);
}

void write_scores(const std::filesystem::path& path, std::span<const ScoredResponse> rows,
                  const Provenance& provenance) {
  const auto row_at = [&](std::size_t i) -> ScoredRow {
    const ScoredResponse& row = rows[i];
    return {&row.response,  &row.response.prompt, row.score,
            row.num_tokens, row.truncated,        &row.error};
  };
  write_scores(path, rows.size(), row_at, provenance);
}

void write_scores(const std::filesystem::path& path, std::size_t num_rows,
                  const std::function<ScoredRow(std::size_t)>& row_at,
                  const Provenance& provenance) {
  Extras extras;
  for (std::size_t i = 0; i < num_rows; ++i) {
    const ScoredRow row = row_at(i);
    extras.add(*row.response, *row.prompt);
  }
  Table table{response_columns(extras), num_rows, {}, provenance};
  // num_tokens is the reward model's count. The generator's has its column even if it is unknown:
  // readers of a folder want one schema.
  table.columns.push_back({"response_num_tokens", ColumnType::kCount});
  table.columns.push_back({"score", ColumnType::kFloat});
  table.columns.push_back({"num_tokens", ColumnType::kCount});
  table.columns.push_back({"truncated", ColumnType::kFlag});
  table.columns.push_back({"error", ColumnType::kText});
  table.fill = [&](std::size_t i, std::vector<Cell>& cells) {
    const ScoredRow row = row_at(i);
    CHARM_CHECK(*row.error || std::isfinite(row.score), "row {} of {} has the score {}", i + 1,
                path.string(), row.score);
    cells = response_cells(*row.response, *row.prompt, extras);
    cells.push_back(optional_cell(row.response->num_tokens));
    cells.push_back(*row.error ? Cell(std::monostate()) : Cell(row.score));
    cells.push_back(row.num_tokens);
    cells.push_back(row.truncated);
    if (*row.error) {
      cells.push_back(std::string_view(**row.error));
    } else {
      cells.push_back(std::monostate());
    }
  };
  write_table(path, table);
}

void write_preferences(const std::filesystem::path& path, std::span<const PreferencePair> rows) {
  Extras extras;
  for (const PreferencePair& row : rows) {
    extras.add(row.chosen);
    extras.add(row.rejected);
  }
  Table table{{{"prompt_id", ColumnType::kText},
               {"chosen", extras.conversation_type()},
               {"rejected", extras.conversation_type()},
               {"score_chosen", ColumnType::kDouble},
               {"score_rejected", ColumnType::kDouble},
               {"margin", ColumnType::kDouble},
               {"policy_chosen", ColumnType::kText},
               {"policy_rejected", ColumnType::kText}},
              rows.size(),
              {}};
  if (extras.tools) table.columns.push_back({"tools", ColumnType::kText});
  table.fill = [&](std::size_t i, std::vector<Cell>& cells) {
    const PreferencePair& row = rows[i];
    cells = {std::string_view(row.prompt_id),
             &row.chosen,
             &row.rejected,
             optional_cell(row.score_chosen),
             optional_cell(row.score_rejected),
             optional_cell(row.margin),
             std::string_view(row.policy_chosen),
             std::string_view(row.policy_rejected)};
    if (extras.tools) cells.push_back(present_text(row.chosen.tools));
  };
  write_table(path, table);
}

void write_eval_scores(const std::filesystem::path& path, std::span<const ScoredEvalItem> rows,
                       EvalShape shape) {
  const bool is_pair = shape == EvalShape::kPair;
  const bool has_text_prompts = std::all_of(rows.begin(), rows.end(), [](const auto& row) {
    return is_single_user_turn(row.item.prompt);
  });
  Extras extras;
  for (const ScoredEvalItem& row : rows) extras.add(row.item.prompt);
  const ColumnType texts = is_pair ? ColumnType::kText : ColumnType::kTexts;
  const ColumnType scores = is_pair ? ColumnType::kDouble : ColumnType::kDoubles;
  Table table{{{"id", ColumnType::kText},
               {shape == EvalShape::kLists ? "domain" : "subset", ColumnType::kText},
               {"prompt", has_text_prompts ? ColumnType::kText : extras.conversation_type()},
               {"chosen", texts},
               {"rejected", texts},
               {"score_chosen", scores},
               {"score_rejected", scores}},
              rows.size(),
              {}};
  table.fill = [&](std::size_t i, std::vector<Cell>& cells) {
    const ScoredEvalItem& row = rows[i];
    cells = {std::string_view(row.item.id), std::string_view(row.item.subset)};
    cells.push_back(has_text_prompts ? Cell(std::string_view(row.item.prompt[0].content))
                                     : Cell(&row.item.prompt));
    cells.push_back(is_pair ? text_cell(row.item.chosen) : Cell(&row.item.chosen));
    cells.push_back(is_pair ? text_cell(row.item.rejected) : Cell(&row.item.rejected));
    cells.push_back(is_pair ? score_cell(row.score_chosen) : list_cell(row.score_chosen));
    cells.push_back(is_pair ? score_cell(row.score_rejected) : list_cell(row.score_rejected));
  };
  write_table(path, table);
}

}  // namespace charm::storage
