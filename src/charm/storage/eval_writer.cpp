#include "charm/storage/eval_writer.h"

#include <algorithm>

#include "charm/base/check.h"
#include "charm/storage/table.h"

namespace charm::storage {
namespace {

bool is_single_user_turn(const Conversation& prompt) {
  return prompt.size() == 1 && prompt[0].role == "user";
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

void write_eval_scores(const std::filesystem::path& path, std::span<const ScoredEvalItem> rows,
                       EvalShape shape) {
  const bool is_pair = shape == EvalShape::kPair;
  const bool has_text_prompts = std::all_of(rows.begin(), rows.end(), [](const auto& row) {
    return is_single_user_turn(row.item.prompt);
  });
  const ColumnType texts = is_pair ? ColumnType::kText : ColumnType::kTexts;
  const ColumnType scores = is_pair ? ColumnType::kDouble : ColumnType::kDoubles;
  Table table{{{"id", ColumnType::kText},
               {shape == EvalShape::kLists ? "domain" : "subset", ColumnType::kText},
               {"prompt", has_text_prompts ? ColumnType::kText : ColumnType::kConversation},
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
