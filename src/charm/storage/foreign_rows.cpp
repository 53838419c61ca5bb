#include "charm/storage/foreign_rows.h"

#include <string>

namespace charm::storage {
namespace {

struct Layout {
  std::string_view column;
  std::string_view beside;  // a second column, which the layout has too
  std::string_view advice;
};

constexpr Layout kLayouts[] = {
    {"custom_id", "response",
     "they are results of a batch API: join them with their requests on custom_id, and write the "
     "request's messages as prompt, response.body.choices[0].message.content as response"},
    {"custom_id", "result",
     "they are results of a batch API: join them with their requests on custom_id, and write the "
     "request's messages as prompt, the text of result.message.content as response"},
    {"doc_id", "resps",
     "they are samples of lm-evaluation-harness: write arguments.gen_args_0.arg_0 as prompt, "
     "resps[0][0] as response"},
    {"question_id", "choices",
     "they are answers of MT-bench or Arena-Hard: join them with the questions on question_id, and "
     "write the turns as messages"},
    {"question_id", "answer_id",
     "they are answers to questions of another file: join them on question_id, and write the "
     "question as prompt, the answer as response"},
    {"parent_id", "role",
     "each is one message of a tree: write the messages from the root to an answer as prompt and "
     "response"},
    {"message_tree_id", "prompt",
     "each is a tree of messages: write the messages from the root to an answer as prompt and "
     "response"},
    {"contents", "", "write contents as messages with role (model: assistant) and content (parts)"},
    {"preferred_output", "non_preferred_output",
     "write input.messages as prompt, preferred_output as chosen, non_preferred_output as "
     "rejected"},
    {"completions", "instruction",
     "each holds the completions of several policies: write a row for each, with prompt, response "
     "and policy"},
    {"answers", "",
     "if each holds several answers, write a row for each, with prompt, response and policy"},
    {"responses", "",
     "if each holds several responses, write a row for each, those of one policy numbered in a "
     "column 'sample'"},
    {"generations", "",
     "if each holds several generations, write a row for each, those of one policy numbered in a "
     "column 'sample'"}};

}  // namespace

std::string_view advice_on_layout(const RowView& row) {
  for (const Layout& layout : kLayouts) {
    if (row.contains(layout.column) && (layout.beside.empty() || row.contains(layout.beside)))
      return layout.advice;
  }
  return {};
}

}  // namespace charm::storage
