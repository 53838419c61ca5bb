#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "charm/report/html.h"
#include "charm/report/run_data.h"

// Vega-Lite specifications with inline data. Colours, fonts and the dark variant are set in
// assets/report.js.
namespace charm::report {

/// Series in drawing and colour order; legends and tables use the same names.
inline constexpr const char* kBefore = "before";
inline constexpr const char* kAfterCalibration = "after calibration";
inline constexpr const char* kAfterRetraining = "after retraining";

/// One dot of a dot plot: a value with its interval.
struct Dot {
  std::string row;     ///< label on the y axis
  std::string series;  ///< colour
  results::Estimate measured;
};

struct DotPlotOptions {
  std::string x_title;
  bool is_percent = false;
  std::vector<std::string> row_order;                   ///< top to bottom
  std::vector<std::string> series_order;                ///< colours in the order of the palette
  std::vector<std::pair<std::string, double>> targets;  ///< per row, drawn as a tick
  std::optional<double> reference_line;                 ///< vertical line at this value
};

/// Values with intervals by row, series beside each other.
nlohmann::ordered_json dot_plot_spec(const std::vector<Dot>& dots, const DotPlotOptions& options);

/// One term of a sum, drawn as a segment of a stacked bar.
struct BarPart {
  std::string row;     ///< label on the y axis
  std::string series;  ///< colour
  double value = 0.0;  ///< positive to the right, negative to the left
};

struct StackedBarOptions {
  std::string x_title;
  std::vector<std::string> row_order;                  ///< top to bottom
  std::vector<std::string> series_order;               ///< colours in the order of the palette
  std::vector<std::pair<std::string, double>> totals;  ///< per row, drawn as a tick
};

/// Stacked bars by row, positive segments to the right of 0 and negative ones to the left.
nlohmann::ordered_json stacked_bar_spec(const std::vector<BarPart>& parts,
                                        const StackedBarOptions& options);

/// Mismatch degree of every ordered pair: rows are policies, columns references. `largest` is the
/// limit of the colour scale.
nlohmann::ordered_json mismatch_heat_map_spec(const std::vector<results::Pair>& pairs,
                                              const std::vector<std::string>& order,
                                              double largest);

/// Histograms of one model's scores, one strip per policy, mean marked.
nlohmann::ordered_json score_strips_spec(const ModelScores& scores,
                                         const std::vector<std::string>& order);

/// A labelled scatter of mean score (y) over rating (x); assets/report.js has Vega place the labels
/// (a label without a free place is hidden; tooltip and table still name the point).
struct RatedScore {
  std::string policy;
  double rating_elo = 0.0;
  double mean_score = 0.0;
};
nlohmann::ordered_json rating_scatter_spec(const std::vector<RatedScore>& points);

/// Metric `name` over the steps, training and held-out.
nlohmann::ordered_json training_curve_spec(const std::vector<MetricPoint>& points,
                                           const std::string& name);

}  // namespace charm::report
