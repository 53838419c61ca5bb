#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace charm {

/// A policy's Chatbot Arena rating in Elo points.
struct ArenaRating {
  std::string name;
  double rating_elo = 0.0;
  std::optional<double> rating_lo;  ///< lower end of the 95 % interval
  std::optional<double> rating_hi;  ///< upper end of the 95 % interval
};

/// Style features of a response, as counts: the covariates of style control.
struct StyleCounts {
  double length = 0.0;   ///< tokens, or characters if token counts are unknown
  double headers = 0.0;  ///< Markdown headers
  double lists = 0.0;    ///< list items
  double bold = 0.0;     ///< bold spans
};

/// Counts the Markdown of a response as FastChat does (serve/monitor/add_markdown_info.py): text in
/// code fences is removed first (every occurrence of it), then it counts lines that start with one
/// to six # and a space, list items (1. or -, *, +), and spans in ** or __. The length is in
/// characters: FastChat's token counts come from conv_metadata only.
StyleCounts count_style(const std::string& text);

/// A vote between the responses of two models to one prompt.
struct Battle {
  std::string model_a;
  std::string model_b;
  double outcome = 0.5;                ///< 1: model_a won, 0: model_b won, 0.5: a tie
  std::optional<StyleCounts> style_a;  ///< as counted in the file
  std::optional<StyleCounts> style_b;
  std::string text_a;  ///< the assistant's turns, if the file has them and styles are requested
  std::string text_b;
};

/// How style features of two responses are compared.
enum class StyleControl {
  kNone,
  kFastChat,   ///< FastChat's compute_style_control: difference / (sum + 1)
  kArenaRank,  ///< arena-rank 0.1.1: difference / sum
};

inline constexpr std::size_t kNumStyles = 4;
inline constexpr std::array<std::string_view, kNumStyles> kStyleNames = {"length", "headers",
                                                                         "lists", "bold"};

/// (a - b) / (a + b + 1) of FastChat, (a - b) / (a + b, or 1 where that is 0) of arena-rank, in
/// the order of kStyleNames; each in [-1, 1] and antisymmetric.
std::array<double, kNumStyles> style_differences(const StyleCounts& a, const StyleCounts& b,
                                                 StyleControl control);

}  // namespace charm
