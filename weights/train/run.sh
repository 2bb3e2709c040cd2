#!/usr/bin/env bash
# One command each for the machine with the GPU; README.md has the plan. Everything happens in /tmp/sticker, into which
# each call copies what it carried, so that the parts may come in several calls. What is to be kept comes back in $OUT,
# a few tar files of less than 16 MiB.
#   bash .train/code/run.sh first | vq | ...
set -euo pipefail
W=${WORK:-/tmp/sticker}; OUT=${OUT:-$W/out}; mkdir -p "$W" "$OUT"
for d in .train .train-more; do [ -d $d ] && cp -r $d/. "$W/"; done
export TORCHINDUCTOR_CACHE_DIR=$W/inductor PYTHONDONTWRITEBYTECODE=1
cd "$W"
py() { echo "== $*"; python3 code/"$@" --data data; }
keep() { tar -C "$W" -cf "$OUT/$1.tar" --exclude=state.pt "$1"; ls -l "$OUT/$1.tar"; }
case ${1:-} in
  stash) ls "$W";;
  first) # the classifier; meanwhile the compiler's cache for the autoencoder fills. Then the autoencoder. about 500 s
    timeout 120 python3 code/autoencoder.py --kind kl --data data --steps 8 --seconds 90 --classifier none --out warm >warm.log 2>&1 &
    py classifier.py --seconds 85 --out classifier; keep classifier
    wait || true; tail -3 warm.log
    py autoencoder.py --kind kl --seconds "${2:-400}" --classifier classifier --out vae --state state/vae; keep vae;;
  more) # the autoencoder goes on where it stopped, on the same machine
    py autoencoder.py --kind kl --seconds "${2:-300}" --lr 3e-4 --adversary-from 0.3 --classifier classifier --resume state/vae --out vae --state state/vae; keep vae;;
  vq) # the twin with a codebook
    py autoencoder.py --kind vq --seconds "${2:-260}" --classifier classifier --out vq --state state/vq; keep vq;;
esac
