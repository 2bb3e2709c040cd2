#!/usr/bin/env bash
# Gathers what the machine that trains needs: .train/ (code, pictures, compiled kernels if there are some) and .train-more/
# (what was trained so far, of weights/local/sticker). Both are ignored by git. `pack.sh classifier vae few` packs other
# parts than classifier, vae and model. Build the pictures first:
#   (cd weights/data && npm ci --ignore-scripts && node build.mjs) && python3 weights/train/prepare.py --data .train/data
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -f .train/data/hues.json ] || { echo "no pictures in .train/data: see the top of this file" >&2; exit 1; }
rm -rf .train/code .train/cache .train-more && mkdir -p .train/code .train-more
cp weights/train/*.py weights/train/*.json weights/train/*.sh .train/code/
[ $# -gt 0 ] || set -- classifier vae model
for part in "$@"; do if [ -d "weights/local/sticker/$part" ]; then cp -r "weights/local/sticker/$part" .train-more/; fi; done
if [ -d weights/local/sticker/cache ]; then cp -r weights/local/sticker/cache .train/; fi
du -sm .train .train-more
