#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "charm/report/run_data.h"

// HTML rendering. Everything that comes from a file passes through `escape_html` or `script_json`
// before it reaches the page.
namespace charm::report {

/// For element content and quoted attributes.
std::string escape_html(std::string_view text);

/// JSON for the inside of a script element: it cannot end the element or start a comment.
std::string script_json(const nlohmann::ordered_json& json);

struct Column {
  std::string header;
  bool is_number = false;  ///< right-aligned
};

/// Plain text, perhaps with a link to the cases behind it.
struct Cell {
  std::string text;
  std::string link;  ///< fragment of this page; empty: none

  Cell(std::string plain, std::string fragment = "")  // NOLINT(google-explicit-constructor)
      : text(std::move(plain)), link(std::move(fragment)) {}
  Cell(const char* plain) : text(plain) {}  // NOLINT(google-explicit-constructor)
  bool operator==(const Cell&) const = default;
};
using Row = std::vector<Cell>;

struct Table {
  std::string caption;
  std::vector<Column> columns;
  std::vector<Row> rows;  ///< the first cell names its row
};

std::string table_html(const Table& table);

/// A table in a <details> element, collapsed under its caption.
std::string collapsible_table_html(const Table& table);

struct Chart {
  std::string caption;          ///< shown under the chart
  std::string description;      ///< for screen readers: what is drawn over what
  nlohmann::ordered_json spec;  ///< Vega-Lite, with inline data; a click on an item with a member
                                ///< `cases` follows this link
};

std::string chart_html(const Chart& chart);

/// A section of the page.
struct Section {
  std::string id;  ///< anchor
  std::string title;
  std::string html;     ///< empty: the section has no input
  std::string missing;  ///< shown instead when `html` is empty: what was not found, and the command
                        ///< that writes it
};

// Number formatting. Empty optionals give a dash.
std::string number_text(std::optional<double> value, int digits = 3);
std::string signed_text(std::optional<double> value, int digits = 3);
std::string percent_text(std::optional<double> value);
/// "0.312 [0.251, 0.374]".
std::string measured_text(const std::optional<results::Estimate>& measured, int digits = 3);
std::string signed_measured_text(const std::optional<results::Estimate>& measured, int digits = 3);
/// "62.1 % [58.4, 65.7]".
std::string percent_measured_text(const std::optional<results::Estimate>& measured);

struct Page {
  std::string title;
  std::string data;            ///< elements for the scripts, see CaseFiles
  bool loads_scripts = false;  ///< a site: may load scripts from its own folder
};

/// The complete document with inline styles and scripts; a content security policy forbids loading
/// anything from elsewhere.
std::string page_html(const Page& page, const std::vector<Section>& sections);

}  // namespace charm::report
