#!/usr/bin/env bash
# People's votes beside Arena ratings, with a real (small) reward model; see README.md for the inputs. Resumes when started again.
#   examples/votes/run.sh DATA OUTPUT        DATA: as make_data.py reads it; OUTPUT: its output and that of this script
# CHARM is the program (default: build/release/bin/charm), MODEL the language model's folder (default: runs/smollm2-12).
set -euo pipefail
cd "$(dirname "$0")/../.."
charm=${CHARM:-build/release/bin/charm}
model=${MODEL:-runs/smollm2-12}
data=$1 out=$2
threads=(--threads "${THREADS:-0}")
score=(--model "$out/rm" --max-tokens 1024 "${threads[@]}")
mkdir -p "$out"/{votes,mismatch,calibration/alpaca_fit,splits,eval}

# The reward model of examples/alpaca, trained on fewer pairs and without the prompts of the votes.
"$charm" train --model "$model" --new-head --preferences "$out/data/rm_pairs.jsonl" --output "$out/rm" --learning-rate 5e-5 \
  --pairs-per-step 16 --max-tokens 1024 --eval-fraction 0.08 --seed 1 "${threads[@]}"

# Scores of both responses of every vote, and of all answers of policies with a rating.
for votes in mt_bench vicuna80 pandalm; do
  "$charm" score --votes "$out/data/$votes.jsonl" --output "$out/votes/$votes.parquet" "${score[@]}"
done
for answers in mt_bench vicuna80 alpaca_fit alpaca_held_out; do
  "$charm" score --responses "$out/data/$answers"/*.jsonl --output "$out/scores/$answers" "${score[@]}"
done

# Mismatch against people on the same responses, and against the ratings on all answers to the same questions.
for votes in mt_bench vicuna80 pandalm; do
  "$charm" measure --votes "$out/votes/$votes.parquet" --output "$out/mismatch/$votes.votes.json"
done
"$charm" measure --scores "$out"/scores/mt_bench/*.parquet --ratings "$data/mt_bench/arena_scores.json" \
  --output "$out/mismatch/mt_bench.json"
"$charm" measure --scores "$out"/scores/vicuna80/*.parquet --ratings "$data/votes/vicuna80_arena_scores.json" \
  --output "$out/mismatch/vicuna80.json"

# Offsets from votes, and how well they predict the votes on held-out prompts: as they are (T = 1), with the fit's temperature, with its
# offsets, with style weights too. Ten splits, because 24 held-out questions are few.
declare -A reference=([mt_bench]=gpt-3.5-turbo [vicuna80]=vicuna-13b [pandalm]=llama-7b)
for set in mt_bench vicuna80 pandalm; do
  votes=$out/votes/$set.parquet
  for seed in 0 1 2 3 4 5 6 7 8 9; do
    held_out=(--holdout 0.4 --seed "$seed")
    "$charm" evaluate --benchmark votes --scores "$votes" "${held_out[@]}" --output "$out/splits/$set.$seed.plain.json"
    for style in none fastchat; do
      fit=$out/splits/$set.$seed.$style.fit.json
      # Exit code 3: these scores do not predict these votes, so there are no offsets; the message says so.
      "$charm" calibrate --votes "$votes" --reference "${reference[$set]}" --style $style "${held_out[@]}" --output "$fit" ||
        { [ $? = 3 ] && continue; }
      "$charm" evaluate --benchmark votes --scores "$votes" --calibration "$fit" "${held_out[@]}" \
        --output "$out/splits/$set.$seed.$style.json"
    done
  done
done

# The audit: offsets of eight policies from ratings, fitted on 64 prompts, and what best-of-n picks on 64 others.
"$charm" calibrate --scores "$out"/scores/alpaca_fit/*.parquet --ratings "$data/alpaca_eval/arena_scores.json" \
  --reference gpt-4o-mini-2024-07-18 --seed 1 --output "$out/calibration/alpaca_fit/eight.json"
"$charm" evaluate --benchmark best-of-n --scores "$out"/scores/alpaca_held_out/*.parquet --calibration "$out/calibration/alpaca_fit/eight.json" \
  --ratings "$data/alpaca_eval/arena_scores.json" --output "$out/eval/rm/best-of-n.json"

# JudgeBench: the published scores of five reward models.
for scores in "$out"/data/judgebench/*.jsonl; do
  "$charm" evaluate --benchmark judge-bench --scores "$scores" --output "$out/eval/$(basename "$scores" .jsonl)/judge-bench.json"
done
