#include "charm/show/show_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "charm/records/conversation.h"
#include "charm/stats/elo.h"

namespace charm::show {
namespace {

constexpr std::size_t kIndent = 4, kFewestColumns = 20;

std::string block(const std::string& text, std::size_t indent, const TextLayout& layout,
                  std::size_t max_lines) {
  const auto width = static_cast<std::size_t>(layout.width);
  const std::size_t room = std::max(width, kFewestColumns + indent) - indent;
  std::string lines;
  for (const std::string& line : wrap_text(text, room, max_lines))
    lines += std::string(indent, ' ') + line + "\n";
  return lines;
}

/// A name, then its text indented below it.
std::string named_block(const std::string& name, const std::string& text,
                        const TextLayout& layout) {
  const std::string body = block(text, kIndent, layout, static_cast<std::size_t>(layout.lines));
  return block(name, kIndent / 2, layout, 1) +
         (body.empty() ? std::string(kIndent, ' ') + "(empty)\n" : body);
}

std::string wins_text(const ShowResult& result, Winner winner) {
  return winner == Winner::kTie ? "tie" : winner_name(result, winner) + " wins";
}

std::string verdict(const ShowResult& result, const Comparison& row) {
  if (!result.offset) return wins_text(result, row.before);
  return row.flips() ? fmt::format("FLIPS: {}, with the offset {}", wins_text(result, row.before),
                                   wins_text(result, row.after))
                     : fmt::format("{}, also with the offset", wins_text(result, row.before));
}

}  // namespace

std::string summary_text(const ShowResult& result, const TextLayout& layout) {
  std::string text =
      block(fmt::format(
                "{} against {}: {} comparisons{}", result.policy, result.against, result.num_common,
                result.num_missing == 0
                    ? ""
                    : fmt::format(" ({} rows without a counterpart dropped)", result.num_missing)),
            0, layout, 0);
  const std::string target =
      result.target ? fmt::format(", target {:.3f}", *result.target) : std::string();
  if (!result.offset) {
    return text + block(fmt::format("win rate {:.3f}{}; no offset: {}", result.win_rate_before,
                                    target, result.no_offset),
                        2, layout, 0);
  }
  text += block(fmt::format("win rate {:.3f}, with the offset {:+.4g} {:.3f}{}",
                            result.win_rate_before, *result.offset, result.win_rate_after, target),
                2, layout, 0);
  if (result.target) {
    text += block(fmt::format("mismatch degree {:+.3f}, with the offset {:+.3f}",
                              stats::mismatch_degree(result.win_rate_before, *result.target),
                              stats::mismatch_degree(result.win_rate_after, *result.target)),
                  2, layout, 0);
  }
  return text + block(fmt::format("the offset flips {} of {} comparisons; {} ties before",
                                  result.num_flips, result.num_common, result.ties_before),
                      2, layout, 0);
}

std::string comparisons_text(const ShowResult& result, const TextLayout& layout) {
  std::string text;
  std::size_t number = 0;
  for (const Comparison& row : result.comparisons) {
    text += fmt::format("\n{}",
                        block(fmt::format("{}. {}", ++number, verdict(result, row)), 0, layout, 0));
    const std::string with_offset =
        result.offset ? fmt::format(", with the offset {:+.4g}", row.margin() + *result.offset)
                      : std::string();
    text += block(fmt::format("score {:.4g} against {:.4g}, difference {:+.4g}{}", row.score_policy,
                              row.score_against, row.margin(), with_offset),
                  kIndent / 2, layout, 0);
    text += named_block(fmt::format("prompt {}{}", row.prompt_id,
                                    row.sample == 0 ? "" : fmt::format(", sample {}", row.sample)),
                        prompt_text(row.prompt), layout);
    text += named_block(fmt::format("{} ({:.4g})", result.policy, row.score_policy),
                        row.response_policy, layout);
    text += named_block(fmt::format("{} ({:.4g})", result.against, row.score_against),
                        row.response_against, layout);
  }
  return text;
}

}  // namespace charm::show
