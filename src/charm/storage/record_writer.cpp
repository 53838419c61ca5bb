#include "charm/storage/record_writer.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <string>

#include "charm/base/check.h"
#include "charm/base/companions.h"
#include "charm/base/error.h"
#include "charm/records/eval_item.h"
#include "charm/records/preference_pair.h"
#include "charm/records/response.h"
#include "charm/storage/table.h"

namespace charm::storage {
namespace {

enum class Format { kParquet, kJsonl, kJsonlGzip };

[[noreturn]] void throw_unknown(const std::filesystem::path& path) {
  throw Error(ErrorKind::kUsage,
              "{}: unknown output format: expected a name ending in .parquet, .jsonl or .jsonl.gz",
              path.string());
}

/// JSON lines for standard output.
Format format_of(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  if (name.ends_with(".parquet")) return Format::kParquet;
  if (name.ends_with(".jsonl") || is_standard_output(path)) return Format::kJsonl;
  if (name.ends_with(".jsonl.gz")) return Format::kJsonlGzip;
  throw_unknown(path);
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

Cell present_text(const std::string& text) {
  if (text.empty()) return std::monostate();
  return std::string_view(text);
}

// What the conversations of a file of prompts or pairs have besides roles and texts: these files
// have further columns only for that.
struct Extras {
  bool members = false;
  bool tools = false;
  bool template_kwargs = false;

  void add(const Conversation& conversation) {
    members = members || has_members(conversation);
    tools = tools || !conversation.tools.empty();
    template_kwargs = template_kwargs || !conversation.template_kwargs.empty();
  }
  ColumnType conversation_type() const {
    return members ? ColumnType::kMemberConversation : ColumnType::kConversation;
  }
  void add_columns(std::vector<Column>& columns) const {
    if (tools) columns.push_back({"tools", ColumnType::kText});
    if (template_kwargs) columns.push_back({"chat_template_kwargs", ColumnType::kText});
  }
  void add_cells(const Conversation& conversation, std::vector<Cell>& cells) const {
    if (tools) cells.push_back(present_text(conversation.tools));
    if (template_kwargs) cells.push_back(present_text(conversation.template_kwargs));
  }
};

// Responses and scores are a file for each policy, and readers of a folder want one schema: all
// columns are always there.
std::vector<Column> response_columns() {
  return {{"prompt_id", ColumnType::kText},       {"prompt", ColumnType::kMemberConversation},
          {"response", ColumnType::kText},        {"policy", ColumnType::kText},
          {"sample", ColumnType::kCount},         {"finish_reason", ColumnType::kText},
          {"tools", ColumnType::kText},           {"chat_template_kwargs", ColumnType::kText},
          {"response_members", ColumnType::kText}};
}

std::vector<Cell> response_cells(const Response& row, const Conversation& prompt) {
  return {std::string_view(row.prompt_id),
          &prompt,
          std::string_view(row.response),
          std::string_view(row.policy),
          row.sample,
          optional_cell(row.finish_reason),
          present_text(prompt.tools),
          present_text(prompt.template_kwargs),
          present_text(row.members)};
}

bool is_single_user_turn(const Conversation& prompt) {
  return prompt.size() == 1 && prompt[0].role == "user" && prompt[0].members.empty() &&
         prompt.tools.empty() && prompt.template_kwargs.empty();
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

void require_known_extension(const std::filesystem::path& path) {
  if (is_standard_output(path)) throw_unknown(path);
  format_of(path);
}

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
  extras.add_columns(table.columns);
  table.fill = [&](std::size_t i, std::vector<Cell>& cells) {
    cells = {std::string_view(rows[i].prompt_id), &rows[i].messages};
    extras.add_cells(rows[i].messages, cells);
  };
  write_table(path, table);
}

void write_responses(const std::filesystem::path& path, std::span<const Response> rows) {
  Table table{response_columns(), rows.size(), {}};
  table.columns.push_back({"num_tokens", ColumnType::kCount});
  table.fill = [&](std::size_t i, std::vector<Cell>& cells) {
    cells = response_cells(rows[i], rows[i].prompt);
    cells.push_back(optional_cell(rows[i].num_tokens));
  };
  write_table(path, table);
}

void write_generated(const std::filesystem::path& path, std::span<const GeneratedResponse> rows,
                     const SamplingSettings& sampling, const Provenance& provenance) {
  Table table{response_columns(), rows.size(), {}, provenance};
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
    cells = response_cells(row.response, row.response.prompt);
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
  Table table{response_columns(), num_rows, {}, provenance};
  // num_tokens is the reward model's count, response_num_tokens the generator's.
  table.columns.push_back({"response_num_tokens", ColumnType::kCount});
  table.columns.push_back({"score", ColumnType::kFloat});
  table.columns.push_back({"num_tokens", ColumnType::kCount});
  table.columns.push_back({"truncated", ColumnType::kFlag});
  table.columns.push_back({"error", ColumnType::kText});
  table.fill = [&](std::size_t i, std::vector<Cell>& cells) {
    const ScoredRow row = row_at(i);
    CHARM_CHECK(*row.error || std::isfinite(row.score), "row {} of {} has the score {}", i + 1,
                path.string(), row.score);
    cells = response_cells(*row.response, *row.prompt);
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
  bool scored = false;
  for (const PreferencePair& row : rows) {
    extras.add(row.chosen);
    extras.add(row.rejected);
    scored = scored || row.score_chosen || row.score_rejected || row.margin;
  }
  Table table{{{"prompt_id", ColumnType::kText},
               {"chosen", extras.conversation_type()},
               {"rejected", extras.conversation_type()}},
              rows.size(),
              {}};
  // Trainers put a column `margin` into the loss unasked, and fail on null in it.
  if (scored) {
    for (const char* name : {"score_chosen", "score_rejected", "margin"})
      table.columns.push_back({name, ColumnType::kDouble});
  }
  table.columns.push_back({"policy_chosen", ColumnType::kText});
  table.columns.push_back({"policy_rejected", ColumnType::kText});
  extras.add_columns(table.columns);
  table.fill = [&, scored](std::size_t i, std::vector<Cell>& cells) {
    const PreferencePair& row = rows[i];
    cells = {std::string_view(row.prompt_id), &row.chosen, &row.rejected};
    if (scored) {
      for (const auto& value : {row.score_chosen, row.score_rejected, row.margin})
        cells.push_back(optional_cell(value));
    }
    cells.push_back(std::string_view(row.policy_chosen));
    cells.push_back(std::string_view(row.policy_rejected));
    extras.add_cells(row.chosen, cells);
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
  const bool has_pairs =
      std::ranges::any_of(rows, [](const ScoredEvalItem& row) { return !row.item.pairs.empty(); });
  if (has_pairs) table.columns.push_back({"pairs", ColumnType::kDoubles});
  std::vector<double> pairs;
  table.fill = [&](std::size_t i, std::vector<Cell>& cells) {
    const ScoredEvalItem& row = rows[i];
    cells = {std::string_view(row.item.id), std::string_view(row.item.subset)};
    cells.push_back(has_text_prompts ? Cell(std::string_view(row.item.prompt[0].content))
                                     : Cell(&row.item.prompt));
    cells.push_back(is_pair ? text_cell(row.item.chosen) : Cell(&row.item.chosen));
    cells.push_back(is_pair ? text_cell(row.item.rejected) : Cell(&row.item.rejected));
    cells.push_back(is_pair ? score_cell(row.score_chosen) : list_cell(row.score_chosen));
    cells.push_back(is_pair ? score_cell(row.score_rejected) : list_cell(row.score_rejected));
    if (!has_pairs) return;
    pairs.clear();
    for (const auto& [chosen, rejected] : row.item.pairs) {
      pairs.push_back(chosen);
      pairs.push_back(rejected);
    }
    cells.push_back(&pairs);
  };
  write_table(path, table);
}

}  // namespace charm::storage
