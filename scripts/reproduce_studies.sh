#!/usr/bin/env bash
# Carry out studies one after the other and put what they found into docs/studies.
# Usage: scripts/reproduce_studies.sh FACES.csv LEAVES PICTURES OUT MINUTES NAME...
# FACES.csv is that of FER2013, LEAVES and PICTURES are folders; OUT keeps the runs, which later calls go on with, also
# with more MINUTES for each network. Two calls may share the machine, and OUT, with other names:
# OMP_NUM_THREADS=1 keeps each to one core. unet-fer2013 and gan-fer2013-128 share a network: one call for both.
# PICTURES is how many of the test pictures are measured, 1200 unless set.
set -euo pipefail
faces="$1" leaves="$2" pictures="$3" out="$4" minutes="$5"
shift 5
docs="$(cd "$(dirname "$0")/../docs" && pwd)/studies"
mkdir -p "$docs"
for name in "$@"; do
  case "$name" in
    *fer2013*) data="$faces" ;;
    gan-leaves) data="$leaves" ;;
    *) data="$pictures" ;;
  esac
  grainless reproduce "$name" --data "$data" -o "$out" --max-minutes "$minutes" --pictures "${PICTURES:-1200}"
  cp "$out/$name".{md,json} "$out/$name"-{curves,pictures}.png "$docs/"
done
python "$(dirname "$0")/studies_table.py"
