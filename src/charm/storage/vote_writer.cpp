#include <string>
#include <string_view>
#include <vector>

#include "charm/storage/table.h"
#include "charm/storage/votes.h"

namespace charm::storage {
namespace {

std::string_view winner_name(double outcome) {
  if (outcome == 0.5) return "tie";
  return outcome > 0.5 ? "model_a" : "model_b";
}

Cell optional_text_cell(const std::string& text) {
  if (text.empty()) return std::monostate();
  return std::string_view(text);
}

std::array<double, kNumStyles> values_of(const StyleCounts& counts) {
  return {counts.length, counts.headers, counts.lists, counts.bold};
}

// The columns of a file, and how a row fills them.
std::vector<Column> vote_columns() {
  std::vector<Column> columns = {{"prompt_id", ColumnType::kText},
                                 {"question", ColumnType::kText},
                                 {"model_a", ColumnType::kText},
                                 {"model_b", ColumnType::kText},
                                 {"winner", ColumnType::kText},
                                 {"judge", ColumnType::kText},
                                 {"turn", ColumnType::kCount},
                                 {"conversation_a", ColumnType::kMemberConversation},
                                 {"conversation_b", ColumnType::kMemberConversation},
                                 {"score_a", ColumnType::kFloat},
                                 {"score_b", ColumnType::kFloat}};
  for (const char* side : {"a", "b"}) {
    for (const std::string_view name : kStyleNames)
      columns.push_back({fmt::format("{}_{}", name, side), ColumnType::kDouble});
  }
  columns.push_back({"error", ColumnType::kText});
  return columns;
}

void append_style(const std::optional<StyleCounts>& counts, std::vector<Cell>& cells) {
  for (std::size_t f = 0; f < kNumStyles; ++f)
    cells.push_back(counts ? Cell(values_of(*counts)[f]) : Cell());
}

void fill_vote(const ScoredVoteRow& row, std::vector<Cell>& cells) {
  const Vote& vote = row.texts->vote;
  const ScoredVote& scored = *row.scored;
  cells = {std::string_view(vote.prompt_id),
           optional_text_cell(vote.question),
           std::string_view(vote.model_a),
           std::string_view(vote.model_b),
           winner_name(vote.outcome),
           optional_text_cell(vote.judge),
           vote.turn ? Cell(*vote.turn) : Cell(),
           &row.texts->conversation_a,
           &row.texts->conversation_b,
           scored.error ? Cell() : Cell(scored.score_a),
           scored.error ? Cell() : Cell(scored.score_b)};
  append_style(scored.style_a, cells);
  append_style(scored.style_b, cells);
  cells.push_back(scored.error ? Cell(std::string_view(*scored.error)) : Cell());
}

}  // namespace

void write_scored_votes(const std::filesystem::path& path, std::size_t num_rows,
                        const std::function<ScoredVoteRow(std::size_t)>& row_at,
                        const Provenance& provenance) {
  Table table{
      .columns = vote_columns(),
      .num_rows = num_rows,
      .fill = [&](std::size_t row, std::vector<Cell>& cells) { fill_vote(row_at(row), cells); },
      .provenance = provenance};
  bool has_members = false;
  for (std::size_t row = 0; row < num_rows && !has_members; ++row) {
    const VoteTexts& texts = *row_at(row).texts;
    for (const Conversation* conversation : {&texts.conversation_a, &texts.conversation_b}) {
      for (const Message& message : *conversation) has_members |= !message.members.empty();
    }
  }
  for (Column& column : table.columns) {
    if (!has_members && column.type == ColumnType::kMemberConversation)
      column.type = ColumnType::kConversation;
  }
  write_table(path, table);
}

}  // namespace charm::storage
