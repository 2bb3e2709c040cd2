#!/usr/bin/env bash
# Gathers what the machine that trains needs: .train/ (code, pictures; about 23 MB) and .train-more/ (what was trained
# so far: weights/local/sticker/{classifier,vae,model,few,cache}). Both are ignored by git. Build the pictures first:
#   (cd weights/data && npm ci --ignore-scripts && node build.mjs) && python3 weights/train/prepare.py --data .train/data
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -f .train/data/hues.json ] || { echo "no pictures in .train/data: see the top of this file" >&2; exit 1; }
rm -rf .train/code .train-more && mkdir -p .train/code .train-more
cp weights/train/*.py weights/train/*.json weights/train/*.sh .train/code/
for part in classifier vae model few cache; do
  [ -d "weights/local/sticker/$part" ] && cp -r "weights/local/sticker/$part" .train-more/
done
du -sm .train .train-more
