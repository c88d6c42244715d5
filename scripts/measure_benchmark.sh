#!/usr/bin/env bash
# Measure the bundled models and all filters on whole test sets, and their speed, and write docs/benchmark.md.
# Usage: scripts/measure_benchmark.sh DATA RESULTS [filters|model|recorded|speed|page]; without the last word, all of it.
# DATA is a folder with test/{cbsd68,kodak24,set12} and real_noise/polyu_crops; RESULTS a folder that keeps the JSON files:
# a part that was measured is not measured again. The speed part wants a machine with nothing else to do.
# Besides the evaluate extra it needs opencv-python-headless.
set -euo pipefail
data="$1"
mkdir -p "$2"
results="$(cd "$2" && pwd)"
part="${3:-all}"
docs="$(cd "$(dirname "$0")/../docs" && pwd)"
cd "$data" # so that the commands printed in the page have short, general paths
noises=()
for spec in gaussian:{15,25,50} salt-pepper:0.{1,3,5,7,9} poisson:30 speckle:0.1; do noises+=(--noise "$spec"); done
sigma=(--noise gaussian:15 --noise gaussian:25 --noise gaussian:50 --noise poisson:30 --noise speckle:0.1)
# Filters that smooth are no use against impulses, and are left out there.
ranks=() smoothers=()
for name in median median5 adaptive_median mask_interpolate adaptive_riesz_mean; do ranks+=(--method "$name"); done
for name in bilateral nlm tv wavelet opencv_nlm; do smoothers+=(--method "$name"); done
models=(--model universal --model fast)
pairs=(--data real_noise/polyu_crops --pairs '*_real.JPG' '*_mean.JPG')

measure() { # NAME ARGUMENT...: measure unless the results are there
  local file="$results/$1.json"
  shift
  [ -s "$file" ] || grainless evaluate "$@" --json "$file"
}

for set in cbsd68 kodak24 set12; do
  if [ "$part" = filters ] || [ "$part" = all ]; then
    measure "$set-ranks" --data "test/$set" "${noises[@]}" "${ranks[@]}"
    measure "$set-smoothers" --data "test/$set" "${sigma[@]}" "${smoothers[@]}"
  fi
  if [ "$part" = model ] || [ "$part" = all ]; then
    measure "$set-models" --data "test/$set" "${noises[@]}" "${models[@]}" --method median
  fi
done
if [ "$part" = recorded ] || [ "$part" = all ]; then
  measure polyu-filters "${pairs[@]}" "${ranks[@]}" "${smoothers[@]}"
  measure polyu-models "${pairs[@]}" "${models[@]}" --method median
fi
if [ "$part" = speed ] || [ "$part" = all ]; then
  peers=()
  for name in dncnn-20 ffdnet-colour drunet-colour; do peers+=(--peer "$name"); done
  grainless benchmark "${models[@]}" "${ranks[@]}" "${smoothers[@]}" "${peers[@]}" --repeats 3 --budget 60 --json "$results/speed.json" \
    --markdown "$results/speed.md" --plot "$docs/benchmark-speed.png" || [ $? = 1 ]
  # What the budget leaves out at the largest size, once.
  grainless benchmark "${models[@]}" --method nlm --method tv --size 48 --repeats 1 --budget 120 \
    --json "$results/speed48.json" --markdown "$results/speed48.md" || [ $? = 1 ]
fi
if [ "$part" = page ] || [ "$part" = all ]; then
  grainless report "$results"/{cbsd68,kodak24,set12,polyu}-*.json -o "$docs/benchmark.md" \
    --title "Models and filters, measured"
  { printf '\n## Speed and memory\n\nHow this is measured: [speed.md](speed.md).\n\n![speed](benchmark-speed.png)\n\n'
    cat "$results/speed.md"
    printf '\n## 48 megapixels, what the budget left out\n\n'
    cat "$results/speed48.md"; } >> "$docs/benchmark.md"
fi
