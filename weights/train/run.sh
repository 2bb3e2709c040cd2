#!/usr/bin/env bash
# One command each for the machine with the GPU; README.md has the plan. Everything happens in /tmp/sticker, into which
# each call copies what it carried, so that the parts may come in several calls. What is to be kept comes back in $OUT as
# NAME.tar.aa, .ab, ... of 15 MB (cat NAME.tar.* | tar x).
set -euo pipefail
W=${WORK:-/tmp/sticker}; OUT=${OUT:-$W/out}; mkdir -p "$W" "$OUT"
if [ -d .train ]; then cp -r .train/. "$W/"; fi
if [ -d .train-more ]; then cp -rn .train-more/. "$W/" || true; fi # what is newer there stays
if [ -d weights/sticker/unet ]; then rm -rf "$W/baseline"; cp -r weights/sticker "$W/baseline"; fi
export TORCHINDUCTOR_CACHE_DIR=$W/inductor PYTHONDONTWRITEBYTECODE=1
cd "$W"
# GPUS=N: the trainers that can run as N processes, one a GPU (team.py). CUDA_VISIBLE_DEVICES says which.
py() { echo "== $*"; python3 code/"$@" --data data; }
team() {
  if [ "${GPUS:-1}" = 1 ]; then py "$@"; return; fi
  echo "== $GPUS x $*"; python3 -m torch.distributed.run --standalone --nproc_per_node "$GPUS" code/"$@" --data data
}
keep() { local name=$1; shift; tar -cf - "$@" "$name" | split -b 15000000 - "$OUT/$name.tar."; ls -l "$OUT"; }
compiled() { if [ -d cache ] && [ "$(du -sm cache | cut -f1)" -lt 15 ]; then keep cache; fi; }
runs() { cat model/model.jsonl 2>/dev/null | grep -c '"done"' || true; }
train() { # SECONDS and options: goes on from what is there, the fullest first
  local from= d
  for d in state/model "state/${KIND:-v}" model; do if [ -e $d/state.pt ] || [ -d $d/unet ]; then from=$d; break; fi; done
  team diffusion.py --kind "${KIND:-v}" --vae vae --out model --state state/model --seed $((10 + $(runs))) ${from:+--resume $from} --seconds "$@"
  keep model
}
case ${1:-} in
  stash) ls "$W";;
  first) # SECONDS: the classifier, while the compiler's cache for the autoencoder fills; then the autoencoder
    timeout 120 python3 code/autoencoder.py --kind kl --data data --steps 8 --seconds 90 --classifier none --out warm >warm.log 2>&1 &
    py classifier.py --seconds 85 --out classifier; keep classifier
    wait || true; tail -3 warm.log
    team autoencoder.py --kind kl --seconds "${2:-400}" --classifier classifier --out vae --state state/vae; keep vae;;
  more) # SECONDS: the autoencoder goes on, from its full state if that is here, else from its float16 weights
    if [ -e state/vae/state.pt ]; then from=state/vae; else from=vae; fi
    team autoencoder.py --kind kl --seconds "${2:-300}" --lr 3e-4 --adversary-from 0.3 --classifier classifier --resume $from --out vae --state state/vae; keep vae;;
  vq) # SECONDS: the twin with a codebook, and both autoencoders measured
    py autoencoder.py --kind vq --seconds "${2:-240}" --classifier classifier --out vq --state state/vq; keep vq
    py evaluate.py --autoencoders vae vq --classifier classifier --out autoencoders; keep autoencoders;;
  ablate) # SECONDS KIND...: the same seconds of each kind, side by side where there are GPUs for it; `KIND=... train` goes on
    seconds=${2:-260}; IFS=, read -ra cards <<<"${CUDA_VISIBLE_DEVICES:-0}"; i=0
    for kind in "${@:3}"; do
      (export CUDA_VISIBLE_DEVICES=${cards[$((i % ${#cards[@]}))]}
        py diffusion.py --kind "$kind" --seconds "$seconds" --batch 256 --lr 6e-4 --pool 96000 --vae vae --out "ablation/$kind" --state "state/$kind"
        py evaluate.py --quick --n 2048 --guidance 3 --model "ablation/$kind" --vae vae --classifier classifier --out "ablation/$kind") >"$kind.log" 2>&1 &
      i=$((i + 1)); if [ $((i % ${#cards[@]})) = 0 ]; then wait; fi
    done
    wait; for kind in "${@:3}"; do echo "== $kind"; tail -n 12 "$kind.log"; done
    keep ablation --exclude=*.safetensors; compiled;;
  train) train "${2:-540}" --batch 256 --hold 1; compiled;;
  finish) train "${2:-540}" --batch 256 --hold 0.1;;
  few) # SECONDS GUIDANCE: four steps
    team few.py --model model --vae vae --guidance "${3:-4}" --seconds "${2:-480}" --out few; keep few;;
  evaluate) # GUIDANCE
    py evaluate.py --model model --vae vae --classifier classifier --guidance "${2:-4}" --guidances 1 2 3 4 5 6 7 8 9 --steps-sweep 4 8 10 20 50 100 --out evaluation
    keep evaluation;;
  evaluate-few)
    py evaluate.py --model few --vae vae --classifier classifier --steps 4 --guidance 1 --out evaluation-few; keep evaluation-few;;
  baseline) # the model of weights/sticker, by the same measures; needs a call that carries it
    py evaluate.py --model baseline --classifier classifier --guidance 5 --guidances 1 2 3 4 5 6 7 8 9 --n 2048 --seeds 1 --out evaluation-baseline; keep evaluation-baseline;;
  *) echo "run.sh stash|first|more|vq|ablate|train|finish|few|evaluate|evaluate-few|baseline" >&2; exit 2;;
esac
