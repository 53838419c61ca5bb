#include "charm/report/charts.h"

#include <algorithm>

namespace charm::report {
namespace {

using nlohmann::ordered_json;

ordered_json quantitative(const char* field, const std::string& title) {
  return {{"field", field}, {"type", "quantitative"}, {"title", title}};
}

/// The values' range padded by 10 % on either side.
results::Interval padded_range(const std::vector<double>& values) {
  const auto [lo, hi] = std::minmax_element(values.begin(), values.end());
  const double padding = *hi > *lo ? 0.1 * (*hi - *lo) : 1.0;
  return {*lo - padding, *hi + padding};
}

ordered_json rows_axis(const std::vector<std::string>& order) {
  return {{"field", "row"},
          {"type", "nominal"},
          {"sort", order},
          {"title", nullptr},
          {"axis", {{"labelLimit", 260}, {"grid", true}, {"ticks", false}}}};
}

}  // namespace

ordered_json dot_plot_spec(const std::vector<Dot>& dots, const DotPlotOptions& options) {
  ordered_json values = ordered_json::array();
  for (const Dot& dot : dots) {
    ordered_json value = {{"row", dot.row}, {"series", dot.series}, {"value", dot.measured.value}};
    if (dot.measured.ci95) {
      value["lo"] = dot.measured.ci95->lo;
      value["hi"] = dot.measured.ci95->hi;
    }
    values.push_back(std::move(value));
  }
  ordered_json targets = ordered_json::array();
  for (const auto& [row, value] : options.targets)
    targets.push_back({{"row", row}, {"value", value}});

  const bool has_series = options.series_order.size() > 1;
  const ordered_json y = rows_axis(options.row_order);
  ordered_json x = quantitative("value", options.x_title);
  x["scale"] = {{"zero", false}, {"nice", true}};
  x["axis"] = {{"tickCount", 8}};
  if (options.is_percent) x["axis"]["format"] = ".0%";
  ordered_json color = {{"field", "series"},
                        {"type", "nominal"},
                        {"scale", {{"domain", options.series_order}, {"range", "category"}}},
                        {"legend", nullptr}};
  if (has_series) color["legend"] = {{"title", nullptr}, {"orient", "top"}};
  const ordered_json offset = {
      {"field", "series"}, {"type", "nominal"}, {"sort", options.series_order}};
  const std::string format = options.is_percent ? ".1%" : ".3f";
  const ordered_json tooltip = {
      {{"field", "row"}, {"title", "row"}},
      {{"field", "series"}, {"title", "state"}},
      {{"field", "value"}, {"title", options.x_title}, {"format", format}},
      {{"field", "lo"}, {"title", "95 % from"}, {"format", format}},
      {{"field", "hi"}, {"title", "to"}, {"format", format}}};

  ordered_json layers = ordered_json::array();
  if (options.reference_line) {
    layers.push_back({{"data", {{"values", {{{"value", *options.reference_line}}}}}},
                      {"mark", {{"type", "rule"}, {"style", "guide"}}},
                      {"encoding", {{"x", {{"field", "value"}, {"type", "quantitative"}}}}}});
  }
  ordered_json range = {
      {"mark", {{"type", "rule"}, {"strokeWidth", 2}}},
      {"transform", {{{"filter", "isValid(datum.lo)"}}}},
      {"encoding", {{"y", y}, {"x", x}, {"x2", {{"field", "hi"}}}, {"color", color}}}};
  range["encoding"]["x"]["field"] = "lo";
  ordered_json points = {
      {"mark", {{"type", "point"}, {"filled", true}, {"size", 60}, {"opacity", 1}}},
      {"encoding", {{"y", y}, {"x", x}, {"color", color}, {"tooltip", tooltip}}}};
  if (has_series) {
    range["encoding"]["yOffset"] = offset;
    points["encoding"]["yOffset"] = offset;
  }
  if (!options.targets.empty()) {
    layers.push_back(
        {{"data", {{"values", targets}}},
         {"mark", {{"type", "tick"}, {"style", "target"}}},
         {"encoding",
          {{"y", y},
           {"x", x},
           {"tooltip", {{{"field", "value"}, {"title", "target"}, {"format", format}}}}}}});
  }
  layers.push_back(std::move(range));
  layers.push_back(std::move(points));
  const int row_height = has_series ? 14 + 12 * static_cast<int>(options.series_order.size()) : 26;
  return {{"width", 620},
          {"height", std::max(60, row_height * static_cast<int>(options.row_order.size()))},
          {"data", {{"values", values}}},
          {"layer", layers}};
}

ordered_json stacked_bar_spec(const std::vector<BarPart>& parts, const StackedBarOptions& options) {
  ordered_json values = ordered_json::array();
  for (const BarPart& part : parts) {
    values.push_back({{"row", part.row}, {"series", part.series}, {"value", part.value}});
  }
  ordered_json totals = ordered_json::array();
  for (const auto& [row, value] : options.totals)
    totals.push_back({{"row", row}, {"value", value}});
  const ordered_json y = rows_axis(options.row_order);
  ordered_json x = quantitative("value", options.x_title);
  x["axis"] = {{"tickCount", 8}};
  ordered_json stacked = x;
  stacked["stack"] = "zero";
  const ordered_json color = {{"field", "series"},
                              {"type", "nominal"},
                              {"scale", {{"domain", options.series_order}, {"range", "category"}}},
                              {"legend", {{"title", nullptr}, {"orient", "top"}, {"columns", 2}}}};
  ordered_json layers = ordered_json::array();
  layers.push_back({{"mark", {{"type", "bar"}, {"height", {{"band", 0.7}}}}},
                    {"encoding",
                     {{"y", y},
                      {"x", stacked},
                      {"color", color},
                      {"tooltip",
                       {{{"field", "row"}, {"title", "policy"}},
                        {{"field", "series"}, {"title", "attributed to"}},
                        {{"field", "value"}, {"title", options.x_title}, {"format", "+.3f"}}}}}}});
  layers.push_back({{"data", {{"values", {{{"value", 0.0}}}}}},
                    {"mark", {{"type", "rule"}, {"style", "guide"}}},
                    {"encoding", {{"x", {{"field", "value"}, {"type", "quantitative"}}}}}});
  layers.push_back(
      {{"data", {{"values", totals}}},
       {"mark", {{"type", "tick"}, {"style", "target"}}},
       {"encoding",
        {{"y", y},
         {"x", x},
         {"tooltip", {{{"field", "value"}, {"title", "score gap"}, {"format", "+.3f"}}}}}}});
  return {{"width", 620},
          {"height", std::max(60, 30 * static_cast<int>(options.row_order.size()))},
          {"data", {{"values", values}}},
          {"layer", layers}};
}

ordered_json mismatch_heat_map_spec(const std::vector<results::Pair>& pairs,
                                    const std::vector<std::string>& order, double largest) {
  ordered_json values = ordered_json::array();
  for (const results::Pair& pair : pairs) {
    const results::Estimate& mismatch = pair.before.mismatch;
    ordered_json value = {
        {"policy", pair.policy}, {"reference", pair.reference}, {"mismatch", mismatch.value}};
    if (mismatch.ci95) {
      value["lo"] = mismatch.ci95->lo;
      value["hi"] = mismatch.ci95->hi;
    }
    values.push_back(std::move(value));
  }
  const auto axis = [&](const char* field, const char* title) -> ordered_json {
    return {{"field", field},
            {"type", "nominal"},
            {"sort", order},
            {"title", title},
            {"axis", {{"labelLimit", 150}}}};
  };
  ordered_json x = axis("reference", "against");
  x["axis"]["labelAngle"] = -40;
  const ordered_json tooltip = {{{"field", "policy"}},
                                {{"field", "reference"}},
                                {{"field", "mismatch"}, {"title", "MD"}, {"format", "+.3f"}},
                                {{"field", "lo"}, {"title", "95 % from"}, {"format", "+.3f"}},
                                {{"field", "hi"}, {"title", "to"}, {"format", "+.3f"}}};
  ordered_json layers = ordered_json::array();
  layers.push_back(
      {{"mark", "rect"},
       {"encoding",
        {{"color",
          {{"field", "mismatch"},
           {"type", "quantitative"},
           {"title", "MD"},
           {"legend", {{"orient", "bottom"}, {"direction", "horizontal"}, {"gradientLength", 160}}},
           {"scale",
            {{"domain", {-largest, 0, largest}}, {"range", "diverging"}, {"interpolate", "lab"}}}}},
         {"tooltip", tooltip}}}});
  const bool has_room_for_text = order.size() <= 8;
  if (has_room_for_text) {
    layers.push_back({{"mark", {{"type", "text"}, {"fontSize", 10}, {"style", "cell-text"}}},
                      {"encoding",
                       {{"text", {{"field", "mismatch"}, {"format", "+.2f"}}},
                        {"color",
                         {{"condition",
                           {{"test", fmt::format("abs(datum.mismatch) > {}", 0.6 * largest)},
                            {"value", "white"}}},
                          {"value", "#1a1a1a"}}}}}});
  }
  const int cell = has_room_for_text ? 40 : 18;
  return {{"width", {{"step", cell}}},
          {"height", {{"step", has_room_for_text ? 30 : 18}}},
          {"data", {{"values", values}}},
          {"encoding", {{"y", axis("policy", "")}, {"x", x}}},
          {"layer", layers}};
}

ordered_json score_strips_spec(const ModelScores& scores, const std::vector<std::string>& order) {
  ordered_json values = ordered_json::array();
  for (const ScoreSummary& policy : scores.policies) {
    for (std::size_t i = 0; i < policy.bins.size(); ++i) {
      const double lo = scores.first_bin + scores.bin_width * static_cast<double>(i);
      values.push_back(
          {{"policy", policy.policy},
           {"lo", lo},
           {"hi", lo + scores.bin_width},
           {"share", static_cast<double>(policy.bins[i]) /
                         static_cast<double>(std::max<std::int64_t>(policy.num_scores, 1))},
           {"mean", policy.mean}});
    }
  }
  const ordered_json bars = {
      {"mark", {{"type", "rect"}, {"opacity", 0.8}}},
      {"encoding",
       {{"x",
         {{"field", "lo"},
          {"type", "quantitative"},
          {"title", "score"},
          {"scale", {{"zero", false}, {"nice", false}}}}},
        {"x2", {{"field", "hi"}}},
        {"y", {{"field", "share"}, {"type", "quantitative"}, {"axis", nullptr}}},
        {"y2", {{"datum", 0}}},
        {"tooltip",
         {{{"field", "policy"}},
          {{"field", "lo"}, {"title", "from"}, {"format", ".3f"}},
          {{"field", "hi"}, {"title", "to"}, {"format", ".3f"}},
          {{"field", "share"}, {"format", ".1%"}}}}}}};
  const ordered_json mean = {
      {"mark", {{"type", "rule"}, {"style", "target"}}},
      {"encoding", {{"x", {{"aggregate", "mean"}, {"field", "mean"}, {"type", "quantitative"}}}}}};
  return {{"data", {{"values", values}}},
          {"facet",
           {{"row",
             {{"field", "policy"},
              {"sort", order},
              {"title", nullptr},
              {"header",
               {{"labelAngle", 0},
                {"labelAlign", "left"},
                {"labelLimit", 170},
                {"labelPadding", 6}}}}}}},
          {"spec", {{"width", 300}, {"height", 26}, {"layer", {bars, mean}}}},
          {"spacing", 3}};
}

ordered_json rating_scatter_spec(const std::vector<RatedScore>& points) {
  std::vector<double> ratings, scores;
  for (const RatedScore& point : points) {
    ratings.push_back(point.rating_elo);
    scores.push_back(point.mean_score);
  }
  const results::Interval x_range = padded_range(ratings), y_range = padded_range(scores);
  ordered_json values = ordered_json::array();
  for (const RatedScore& point : points) {
    values.push_back(
        {{"policy", point.policy}, {"rating", point.rating_elo}, {"score", point.mean_score}});
  }
  ordered_json x = quantitative("rating", "Arena rating (Elo points)");
  ordered_json y = quantitative("score", "mean score");
  x["scale"] = {{"domain", {x_range.lo, x_range.hi}}, {"nice", false}, {"zero", false}};
  y["scale"] = {{"domain", {y_range.lo, y_range.hi}}, {"nice", false}, {"zero", false}};
  x["axis"] = {{"format", "d"}, {"tickCount", 6}};
  const ordered_json tooltip = {{{"field", "policy"}},
                                {{"field", "rating"}, {"format", ".0f"}},
                                {{"field", "score"}, {"format", ".3f"}}};
  ordered_json layers = ordered_json::array();
  layers.push_back({{"name", "points"},
                    {"mark", {{"type", "point"}, {"filled", true}, {"size", 60}, {"opacity", 0.9}}},
                    {"encoding", {{"x", x}, {"y", y}, {"tooltip", tooltip}}}});
  layers.push_back({{"name", "labels"},
                    {"mark", {{"type", "text"}, {"fontSize", 10}, {"limit", 150}}},
                    {"encoding", {{"x", x}, {"y", y}, {"text", {{"field", "policy"}}}}}});
  return {{"width", 380}, {"height", 300}, {"data", {{"values", values}}}, {"layer", layers}};
}

ordered_json training_curve_spec(const std::vector<MetricPoint>& points, const std::string& name) {
  ordered_json values = ordered_json::array();
  for (const MetricPoint& point : points) {
    const auto it = point.values.find(name);
    if (it == point.values.end()) continue;
    values.push_back({{"step", point.step},
                      {"value", it->second},
                      {"series", point.is_held_out ? "held-out" : "training"}});
  }
  const ordered_json encoding = {
      {"x", quantitative("step", "step")},
      {"y",
       {{"field", "value"},
        {"type", "quantitative"},
        {"title", name},
        {"scale", {{"zero", false}}}}},
      {"color",
       {{"field", "series"},
        {"type", "nominal"},
        {"scale", {{"domain", {"training", "held-out"}}, {"range", "category"}}},
        {"legend", {{"title", nullptr}, {"orient", "top"}}}}},
      {"tooltip",
       {{{"field", "series"}},
        {{"field", "step"}},
        {{"field", "value"}, {"title", name}, {"format", ".4f"}}}}};
  const ordered_json training = {
      {"transform", {{{"filter", "datum.series == 'training'"}}}},
      {"mark", {{"type", "line"}, {"strokeWidth", 1.5}, {"opacity", 0.7}}}};
  const ordered_json held_out = {{"transform", {{{"filter", "datum.series == 'held-out'"}}}},
                                 {"mark", {{"type", "line"}, {"strokeWidth", 2}, {"point", true}}}};
  return {{"width", 390},
          {"height", 220},
          {"data", {{"values", values}}},
          {"encoding", encoding},
          {"layer", {training, held_out}}};
}

}  // namespace charm::report
