#include "charm/report/html.h"

#include <cmath>

namespace charm::report {
namespace {

constexpr const char* kDash = "–";

std::string cell(std::string_view tag, std::string_view attributes, const Cell& content) {
  const std::string text = escape_html(content.text);
  return fmt::format("<{}{}>{}</{}>", tag, attributes,
                     content.link.empty()
                         ? text
                         : fmt::format("<a href=\"{}\">{}</a>", escape_html(content.link), text),
                     tag);
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      case '\0':
        escaped += "\xEF\xBF\xBD";  // U+FFFD: a NUL is a parse error in HTML
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string script_json(const nlohmann::ordered_json& json) {
  const std::string text = json.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/true,
                                     nlohmann::ordered_json::error_handler_t::replace);
  std::string escaped;
  escaped.reserve(text.size());
  for (char c : text) {
    switch (c) {
      case '<':
        escaped += "\\u003c";
        break;
      case '>':
        escaped += "\\u003e";
        break;
      case '&':
        escaped += "\\u0026";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string table_html(const Table& table) {
  std::string html = "<div class=\"scroll\"><table>";
  if (!table.caption.empty()) html += cell("caption", "", table.caption);
  html += "<thead><tr>";
  for (const Column& column : table.columns) {
    html += cell("th", column.is_number ? " scope=\"col\" class=\"number\"" : " scope=\"col\"",
                 column.header);
  }
  html += "</tr></thead><tbody>";
  for (const Row& row : table.rows) {
    html += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool is_number = i < table.columns.size() && table.columns[i].is_number;
      html += i == 0 ? cell("th", " scope=\"row\"", row[i])
                     : cell("td", is_number ? " class=\"number\"" : "", row[i]);
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string collapsible_table_html(const Table& table) {
  return fmt::format("<details><summary>{}</summary>{}</details>\n", escape_html(table.caption),
                     table_html({.caption = "", .columns = table.columns, .rows = table.rows}));
}

std::string chart_html(const Chart& chart) {
  return fmt::format(
      "<figure class=\"chart\"><div class=\"plot\" role=\"img\" aria-label=\"{}\"></div><script "
      "type=\"application/json\">{}</script><figcaption>{}</figcaption></figure>\n",
      escape_html(chart.description), script_json(chart.spec), escape_html(chart.caption));
}

std::string number_text(std::optional<double> value, int digits) {
  return value && std::isfinite(*value) ? fmt::format("{:.{}f}", *value, digits) : kDash;
}

std::string signed_text(std::optional<double> value, int digits) {
  return value && std::isfinite(*value) ? fmt::format("{:+.{}f}", *value, digits) : kDash;
}

std::string percent_text(std::optional<double> value) {
  return value && std::isfinite(*value) ? fmt::format("{:.1f} %", 100.0 * *value) : kDash;
}

std::string measured_text(const std::optional<results::Estimate>& measured, int digits) {
  if (!measured) return kDash;
  std::string text = number_text(measured->value, digits);
  if (measured->ci95)
    text +=
        fmt::format(" [{:.{}f}, {:.{}f}]", measured->ci95->lo, digits, measured->ci95->hi, digits);
  return text;
}

std::string signed_measured_text(const std::optional<results::Estimate>& measured, int digits) {
  if (!measured) return kDash;
  std::string text = signed_text(measured->value, digits);
  if (measured->ci95)
    text += fmt::format(" [{:+.{}f}, {:+.{}f}]", measured->ci95->lo, digits, measured->ci95->hi,
                        digits);
  return text;
}

std::string percent_measured_text(const std::optional<results::Estimate>& measured) {
  if (!measured) return kDash;
  std::string text = percent_text(measured->value);
  if (measured->ci95)
    text +=
        fmt::format(" [{:.1f}, {:.1f}]", 100.0 * measured->ci95->lo, 100.0 * measured->ci95->hi);
  return text;
}

}  // namespace charm::report
