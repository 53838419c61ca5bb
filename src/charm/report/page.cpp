#include <string_view>

#include "charm/report/embedded.h"
#include "charm/report/html.h"

namespace charm::report {
namespace {

constexpr std::string_view kHead = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="charm report">
<link rel="icon" href="data:,">
)";

/// Vega compiles its expressions with the Function constructor, hence 'unsafe-eval'. Nothing may be
/// loaded from elsewhere.
std::string security_policy(bool loads_scripts) {
  return fmt::format(
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src "
      "{}'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:\">\n",
      loads_scripts ? "'self' " : "");
}

/// A script's text must not contain "</script" (checked by the tests); source maps are not shipped,
/// so their comment is removed.
std::string script_element(std::string_view source) {
  const std::size_t map = source.rfind("\n//# sourceMappingURL=");
  std::string element = "<script>";
  element += source.substr(0, map);
  return element + "\n</script>\n";
}

}  // namespace

std::string page_html(const Page& page, const std::vector<Section>& sections) {
  const std::string title = escape_html(page.title);
  std::string html(kHead);
  html += security_policy(page.loads_scripts) + "<title>" + title + "</title>\n<style>\n";
  for (std::string_view style : {report_css(), cases_css()}) html += style;
  html += "</style>\n</head>\n<body>\n<main>\n<h1>" + title + "</h1>\n<nav aria-label=\"Parts\">\n";
  for (const Section& section : sections) {
    html += "<a href=\"#" + section.id + "\">" + escape_html(section.title) + "</a>\n";
  }
  html +=
      "</nav>\n<noscript><p class=\"warning\">The charts need JavaScript; all numbers are also in "
      "the tables.</p></noscript>\n";
  for (const Section& section : sections) {
    html += "<section id=\"" + section.id + "\">\n<h2>" + escape_html(section.title) + "</h2>\n";
    html +=
        section.html.empty() ? "<p class=\"missing\">" + section.missing + "</p>\n" : section.html;
    html += "</section>\n";
  }
  html +=
      "<section id=\"licences\">\n<details><summary>Licences of the charting libraries in this "
      "file</summary><pre>";
  for (std::string_view notice :
       {notices(), vega_license(), vega_lite_license(), vega_embed_license()}) {
    html += escape_html(notice) + "\n";
  }
  html += "</pre></details>\n</section>\n</main>\n";
  html += page.data;
  for (std::string_view script : {tables_js(), case_data_js(), cases_js(), vega_js(),
                                  vega_lite_js(), vega_embed_js(), report_js()})
    html += script_element(script);
  return html + "</body>\n</html>\n";
}

}  // namespace charm::report
