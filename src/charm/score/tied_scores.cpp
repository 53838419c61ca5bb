#include "charm/score/tied_scores.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>

#include "charm/base/error.h"
#include "charm/base/log.h"

namespace charm::score {
namespace {

constexpr std::string_view kNextStep =
    "charm inspect --sample shows what the model reads; see whether it has the whole response "
    "(chat template, --max-tokens, --truncation), and whether its head is a trained one";

// The scored rows of one policy, or of one prompt.
struct TiedRows {
  std::size_t first = 0;
  std::size_t num_rows = 0;
  bool has_others = false;  ///< a row with another text than the first
  bool is_tied = true;
};

bool has_equal_texts(const RowStore& store, std::size_t a, std::size_t b) {
  return store.prompt_index(a) == store.prompt_index(b) && store[a].response == store[b].response &&
         store[a].members == store[b].members;
}

void add_row(const RowStore& store, std::span<const RowScore> results, std::size_t row,
             TiedRows& rows) {
  if (rows.num_rows++ == 0) rows.first = row;
  rows.has_others = rows.has_others || !has_equal_texts(store, rows.first, row);
  rows.is_tied = rows.is_tied && results[row].score == results[rows.first].score;
}

}  // namespace

std::vector<std::string> tie_warnings(const RowStore& store, std::span<const RowScore> results) {
  std::map<std::string_view, TiedRows> policies;
  std::vector<TiedRows> prompts(store.num_prompts());
  for (std::size_t row = 0; row < results.size(); ++row) {
    if (results[row].error) continue;
    add_row(store, results, row, policies[store[row].policy]);
    add_row(store, results, row, prompts[store.prompt_index(row)]);
  }
  std::vector<std::string> warnings;
  for (const auto& [policy, rows] : policies) {
    if (!rows.has_others || !rows.is_tied) continue;
    warnings.push_back(fmt::format("policy '{}': all {} responses have the score {}; {}", policy,
                                   rows.num_rows, results[rows.first].score, kNextStep));
  }
  if (!warnings.empty()) return warnings;
  const auto num_compared = std::ranges::count_if(prompts, &TiedRows::has_others);
  const auto num_tied = std::ranges::count_if(
      prompts, [](const TiedRows& rows) { return rows.has_others && rows.is_tied; });
  if (num_compared > 0 && num_tied == num_compared) {
    warnings.push_back(
        fmt::format("different responses to a prompt have equal scores, for all {} prompts with "
                    "several; {}",
                    num_compared, kNextStep));
  }
  return warnings;
}

bool ignores_response(const text::ChatTemplate& chat_template, const Conversation& prompt) {
  try {
    return chat_template.render(prompt, {"assistant", "yes"}) ==
           chat_template.render(prompt, {"assistant", "no"});
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    return false;
  }
}

void warn_of_ties(const text::ConversationEncoder& encoder, const RowStore& store,
                  std::span<const RowScore> results) {
  const text::ChatTemplate& chat_template = encoder.chat_template();
  if (!encoder.encodes_pairs() && store.size() > 0 &&
      ignores_response(chat_template, store.prompt(0))) {
    log::warning(
        "{}: the chat template does not show the response: scores depend on the prompt alone; "
        "give the template that the model was trained with as --template FILE",
        chat_template.name());
    return;
  }
  warn_of_ties(store, results);
}

void warn_of_ties(const RowStore& store, std::span<const RowScore> results) {
  for (const std::string& warning : tie_warnings(store, results)) log::warning("{}", warning);
}

}  // namespace charm::score
