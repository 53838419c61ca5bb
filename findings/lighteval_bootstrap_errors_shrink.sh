#!/usr/bin/env bash
# What:     the standard errors that lighteval puts beside metrics that it bootstraps (F1, Matthews correlation, BLEU, perplexity, ...).
# Version:  lighteval 0.13.0 (numpy 2.4.6, scipy 1.17.1); its module stderr alone, which needs nothing else of it.
# Expected: the spread of the metric over resampled answers. For 60 right answers of 100 that is 0.049, as for the mean of the answers.
# Seen:     the spread over the resamples is divided by the root of their number once more: 0.0015 with the 1000 draws that lighteval
#           takes by default, and less the more are drawn. Whether a metric is bootstrapped is decided by its name: the same function
#           called mean_accuracy has the error 0.049, called accuracy a 32nd of it. The bootstrap of scipy in the same module, which
#           nothing calls, agrees with the mean's.
# Matters:  intervals of benchmark scores are too narrow by a factor of 32; metrics in one table have errors of two kinds.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install -q --disable-pip-version-check --no-compile --no-deps --target packages lighteval==0.13.0 numpy==2.4.6 scipy==1.17.1 \
  tqdm==4.70.1
cat > errors.py << 'EOF'
import importlib.util
import os

os.environ["LIGHTEVAL_DISABLE_TQDM"] = "1"
spec = importlib.util.spec_from_file_location("stderr", "packages/lighteval/metrics/utils/stderr.py")
stderr = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stderr)


def accuracy(answers):
    return sum(answers) / len(answers)


def mean_accuracy(answers):
    return accuracy(answers)


if __name__ == "__main__":
    answers = [1] * 60 + [0] * 40
    for metric, draws in ((mean_accuracy, 1000), (accuracy, 1000), (accuracy, 4000)):
        print(f"{metric.__name__}, {draws} draws: {accuracy(answers)} +- {stderr.get_stderr_function(metric, draws)(answers):.4f}")
    print(f"bootstrap_stderr_scipy: +- {stderr.bootstrap_stderr_scipy(accuracy, answers):.2f}")
EOF
PYTHONPATH=packages python3 errors.py > seen
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
mean_accuracy, 1000 draws: 0.6 +- 0.0492
accuracy, 1000 draws: 0.6 +- 0.0015
accuracy, 4000 draws: 0.6 +- 0.0008
bootstrap_stderr_scipy: +- 0.05
EOF
