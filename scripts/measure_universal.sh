#!/usr/bin/env bash
# Measure the bundled models on whole test sets and write docs/universal.md; on noises at the edge of what they were
# trained for, and write docs/universal-limits.md.
# Usage: scripts/measure_universal.sh DATA RESULTS [filters|model|limits|page]; without the last word, all of them.
# scripts/universal_extras.py RESULTS measures the rest, and is run before the page is made.
# DATA is a folder with test/{cbsd68,kodak24,set12,bsd68_gray} and real_noise/polyu_crops; RESULTS a folder that keeps the
# JSON files, the same as for scripts/measure_benchmark.sh, whose parts are used: what lies there is not measured again.
set -euo pipefail
data="$(cd "$1" && pwd)"
mkdir -p "$2"
results="$(cd "$2" && pwd)"
part="${3:-all}"
here="$(cd "$(dirname "$0")" && pwd)"
docs="$here/../docs"
cd "$data" # so that the commands printed in the page have short, general paths
models=(--model universal --model fast)
channel=() gaussian=(--noise gaussian:15 --noise gaussian:25 --noise gaussian:50)
for density in 0.1 0.3 0.5 0.7 0.9; do channel+=(--noise "salt-pepper:$density:channel"); done

measure() { # NAME ARGUMENT...: measure unless the results are there
  local file="$results/$1.json"
  shift
  [ -s "$file" ] || grainless evaluate "$@" --json "$file"
}

if [ "$part" = filters ] || [ "$part" = all ]; then
  "$here/measure_benchmark.sh" "$data" "$results" filters
  for set in cbsd68 kodak24; do
    measure "$set-channel-filters" --data "test/$set" "${channel[@]}" --method median --method adaptive_median \
      --method mask_interpolate --method adaptive_riesz_mean
  done
  measure kodak24-mild-filters --data test/kodak24 --noise clean --noise jpeg:40 --method median
fi
if [ "$part" = model ] || [ "$part" = all ]; then
  "$here/measure_benchmark.sh" "$data" "$results" model
  for set in cbsd68 kodak24; do
    measure "$set-channel-models" --data "test/$set" "${channel[@]}" "${models[@]}" --method median
  done
  measure kodak24-mild-models --data test/kodak24 --noise clean --noise jpeg:40 "${models[@]}" --method median
  for set in cbsd68 bsd68_gray set12; do
    measure "unclipped-$set" --data "test/$set" "${gaussian[@]}" --protocol awgn-literature "${models[@]}" --method median
  done
  "$here/measure_benchmark.sh" "$data" "$results" recorded
fi
if [ "$part" = limits ] || [ "$part" = all ]; then
  limits=(--noise clean --noise poisson:30 --noise camera:0.4+jpeg:90 --noise impulse:0.2:channel)
  for density in 0.1 0.3; do limits+=(--noise "salt-pepper:$density:near=5" --noise "salt-pepper:$density+jpeg:90"); done
  measure limits --data test/kodak24 --limit 8 "${limits[@]}" --method median --method adaptive_median "${models[@]}"
fi
if [ "$part" = page ] || [ "$part" = all ]; then
  shopt -s nullglob # a part that was not measured is left out
  grainless report "$results"/{cbsd68,kodak24,polyu}-*.json -o "$results/real-files.md" --title "The universal model, measured"
  unclipped=("$results"/unclipped-*.json)
  : > "$results/unclipped.md"
  [ ${#unclipped[@]} = 0 ] || grainless report "${unclipped[@]}" -o "$results/unclipped.md" --title "Noise that is not clipped"
  {
    sed -n 1p "$results/real-files.md"
    printf '\n## What it has to reach\n\nMade by `scripts/measure_universal.sh`; yardsticks are quoted in `scripts/universal_bars.py`.\n\n'
    python "$here/universal_bars.py" "$results"
    printf '\n"no" says how much is missing to what was asked for, not that a model does harm. Compare the tables below: where\n'
    printf 'a model is no better than the noisy picture or than a filter, they show it.\n'
    printf '\n## Quality against training\n\nWhat the shipped weights had learnt after so many pixels; hardware, hours and the command that goes on with more\n'
    printf 'compute: [universal-training.md](universal-training.md).\n\n![validation PSNR over the pixels seen](universal-training.png)\n'
    if [ -s "$results/extras.json" ]; then
      printf '\n## A JPEG of 12 megapixels through the command\n\nOn two cores, by `scripts/universal_extras.py`.\n\n'
      python "$here/universal_bars.py" "$results" memory
    fi
    printf '\n## In 8-bit files\n'
    sed 1d "$results/real-files.md"
    printf '\n## Noise that is neither clipped nor rounded\n'
    sed 1d "$results/unclipped.md"
    if [ -s "$docs/universal-ablation.json" ]; then
      printf '\n## The design, by trials\n\nMade by `scripts/ablate_universal.py`.\n\n'
      python "$here/ablate_universal.py" table "$docs/universal-ablation.json"
    fi
  } > "$docs/universal.md"
  [ ! -s "$results/limits.json" ] || grainless report "$results/limits.json" -o "$docs/universal-limits.md" --title "Where the universal model ends"
fi
