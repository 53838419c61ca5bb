#pragma once

#include <optional>
#include <string>

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

}  // namespace charm
