#pragma once

#include "charm/results/calibration.h"
#include "charm/results/solve_options.h"

// What a calibration is solved for and what it hands on, under the names of this folder.
namespace charm::calibrate {

using results::Mode;
using results::mode_name;
using results::ModeKind;
using results::pair_weights_name;
using results::PairWeights;
using results::parse_mode;
using results::parse_pair_weights;
using results::parse_solver;
using results::SolveOptions;
using results::solver_name;
using results::SolverKind;

using results::CalibratedPolicy;
using results::Calibration;
using results::HeldOut;
using results::HeldOutPolicy;
using results::HeldOutPolicyCheck;
using results::MeanMismatch;

using results::Estimate;
using results::Interval;
using results::StyleWeight;
using results::VoteFit;

}  // namespace charm::calibrate
