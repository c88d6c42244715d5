#!/usr/bin/env bash
# Measure the bundled model and the classical filters on whole test sets, and write docs/universal.md; on noises at the
# edge of what the model was trained for, and write docs/universal-limits.md.
# Usage: scripts/measure_universal.sh DATA RESULTS [filters|model|limits|page]; without the last word, all of them.
# DATA is a folder that holds test/cbsd68 and test/kodak24; RESULTS a folder that keeps the JSON files.
set -euo pipefail
data="$1"
mkdir -p "$2"
results="$(cd "$2" && pwd)"
part="${3:-all}"
docs="$(cd "$(dirname "$0")/../docs" && pwd)"
cd "$data" # so that the commands printed in the page have short, general paths
noises=(--noise gaussian:15 --noise gaussian:25 --noise gaussian:50)
for density in 0.1 0.3 0.5 0.7 0.9; do noises+=(--noise "salt-pepper:$density"); done
for density in 0.1 0.3 0.5 0.7 0.9; do noises+=(--noise "salt-pepper:$density:channel"); done
filters=(--method median --method adaptive_median --method mask_interpolate --method nlm)
for set in cbsd68 kodak24; do
  if [ "$part" = filters ] || [ "$part" = all ]; then
    grainless evaluate --data "test/$set" "${noises[@]}" "${filters[@]}" --json "$results/$set-filters.json"
  fi
  if [ "$part" = model ] || [ "$part" = all ]; then
    grainless evaluate --data "test/$set" "${noises[@]}" --model universal --method median --json "$results/$set-universal.json"
  fi
done
if [ "$part" = limits ] || [ "$part" = all ]; then
  limits=(--noise clean --noise poisson:30 --noise camera:0.4+jpeg:90 --noise impulse:0.2:channel)
  for density in 0.1 0.3; do limits+=(--noise "salt-pepper:$density:near=5" --noise "salt-pepper:$density+jpeg:90"); done
  grainless evaluate --data test/kodak24 --limit 8 "${limits[@]}" --method median --method adaptive_median \
    --model universal --json "$results/limits.json"
fi
if [ "$part" = page ] || [ "$part" = all ]; then
  grainless report "$results"/cbsd68-*.json "$results"/kodak24-*.json -o "$docs/universal.md" \
    --title "The universal model, measured"
  grainless report "$results/limits.json" -o "$docs/universal-limits.md" --title "Where the universal model ends"
fi
