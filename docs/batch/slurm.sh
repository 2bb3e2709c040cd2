#!/bin/bash
# 50,000 pictures on 16 GPUs: sbatch slurm.sh. Slurm gives each task SLURM_ARRAY_TASK_ID and _COUNT, which webldm reads.
# A task that was cut off goes on where it was stopped: submit the whole array again.
#SBATCH --job-name=webldm-samples
#SBATCH --array=0-15
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=12:00:00
#SBATCH --output=samples-%A-%a.log

set -euo pipefail
exec webldm batch "${JOBS:-jobs.jsonl}" --model "${MODEL:-model}" --out "${OUT:-samples}" --steps 200 --eta 1
