#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

// Maximum likelihood of paired comparisons whose log odds are linear in the parameters.
namespace charm::stats {

/// Probabilities of a comparison with log odds z = x' theta.
enum class TieModel {
  kHalf,       ///< P(a) = sigmoid(z); a tie is half a win and half a loss
  kDavidson,   ///< P(a) : P(tie) : P(b) = e^(z/2) : nu : e^(-z/2), parameter log nu (Davidson 1970,
               ///< JASA 65, 317)
  kRaoKupper,  ///< P(a) = sigmoid(z - eta), P(b) = sigmoid(-z - eta), parameter eta > 0 (Rao and
               ///< Kupper 1967, JASA 62, 194)
};

/// "half", "davidson", "rao-kupper".
std::string_view tie_model_name(TieModel model);

/// Rows with few non-zero columns, all of the same number of entries.
struct ComparisonDesign {
  std::size_t num_parameters = 0;
  std::size_t width = 0;               ///< entries of a row
  std::vector<std::uint32_t> columns;  ///< [row * width]; num_parameters: the entry counts nowhere
  std::vector<double> values;          ///< [row * width] x
  std::vector<double> outcomes;        ///< [row] 1: a won, 0: b won, 0.5: a tie

  std::size_t num_rows() const { return outcomes.size(); }
};

/// Negative log likelihood with derivatives at some parameters; those of the tie model come last.
struct LossValue {
  double loss = 0.0;
  std::vector<double> gradient;  ///< [parameter]
  std::vector<double> hessian;   ///< [parameter * parameter], both triangles
};

/// Adds a penalty to the loss and its derivatives.
using PenaltyFn = std::function<void(std::span<const double> parameters, LossValue& value)>;

struct ComparisonFitOptions {
  TieModel ties = TieModel::kHalf;
  PenaltyFn penalty;          ///< empty: maximum likelihood
  std::vector<double> start;  ///< parameters, then that of the tie model; empty: zeros
  double tolerance = 1e-12;   ///< of the Newton decrement before the last step: squared distance
                              ///< from the optimum in standard errors
};

struct ComparisonFit {
  std::vector<double> parameters;  ///< then that of the tie model, if it has one
  bool is_converged = false;       ///< false: no finite optimum was found
  double log_likelihood = 0.0;     ///< without the penalty
  LossValue at;                    ///< at the parameters, with the penalty
};

/// Newton's method with step halving, on the sum of weight * loss; both losses are convex.
/// `weights` [row]; empty: 1.
ComparisonFit fit_comparisons(const ComparisonDesign& design, std::span<const double> weights,
                              const ComparisonFitOptions& options);

/// Expected outcome of a row, P(a) + P(tie) / 2, with its derivatives in the log odds and the tie
/// parameter.
struct ExpectedOutcome {
  double value = 0.5;
  double dz = 0.0;
  double dt = 0.0;
};
/// Of kHalf and kDavidson.
ExpectedOutcome expected_outcome(const ComparisonDesign& design, TieModel ties, std::size_t row,
                                 std::span<const double> parameters);

/// Cluster-robust covariance of the parameters (Liang and Zeger 1986), row-major:
///     c H^-1 (sum over clusters of g g' + extra) H^-1,    c = G / (G - 1) (N - 1) / (N - k)
/// for G clusters, N rows and k parameters: as statsmodels' cov_type "cluster".
/// @param cluster_of_row  [row], below num_clusters
/// @param extra           outer product of the penalty's gradient where it is data of its own;
///                        empty: none
std::vector<double> clustered_covariance(const ComparisonDesign& design, TieModel ties,
                                         const ComparisonFit& fit,
                                         std::span<const std::uint32_t> cluster_of_row,
                                         std::size_t num_clusters,
                                         std::span<const double> extra = {});

/// H^-1, row-major: the covariance where the model holds and rows are independent.
std::vector<double> model_covariance(const ComparisonFit& fit);

}  // namespace charm::stats
