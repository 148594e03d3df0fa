#!/usr/bin/env bash
# Finding: on a CPU, accelerate's configuration says something else than what runs, without a word: a file that asks for
#   FSDP gives plain DDP, and `accelerate launch --cpu --num_processes 2` starts one process. A file that says
#   MULTI_GPU gives two processes over gloo. So a test of FSDP on a CPU tests DDP unless it looks.
#
# Versions: accelerate 1.15.0, torch 2.13.0, on a machine without a GPU.
# Behaviour: the kind of sharing that the Accelerator of each process has, and the number of processes.
# Output seen:
#   a file with distributed_type FSDP, 2 processes: MULTI_CPU 2
#   a file with distributed_type MULTI_GPU, 2 processes: MULTI_CPU 2
#   --cpu --num_processes 2: NO 1
# It fails where FSDP is taken on a CPU, or the command line starts two processes.
# Run: bash findings/accelerate_cpu_processes.sh (about 250 MB from PyPI into a temporary folder)
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"
python3 -m venv env
env/bin/pip install -q torch==2.13.0 accelerate==1.15.0 numpy==2.4.6
cat >who.py <<'PY'
from accelerate import Accelerator

here = Accelerator(cpu=True)
if here.is_main_process:
    print("runs as", here.distributed_type.name, here.num_processes, flush=True)
PY
for kind in FSDP MULTI_GPU; do
  cat >"$kind.yaml" <<YAML
compute_environment: LOCAL_MACHINE
distributed_type: $kind
mixed_precision: "no"
num_machines: 1
num_processes: 2
YAML
done
echo 'fsdp_config: { fsdp_version: 2 }' >>FSDP.yaml
launched() { env/bin/python -m accelerate.commands.launch --main_process_port 0 "$@" who.py 2>errors | sed -n 's/^runs as //p' || { cat errors >&2; }; }
fsdp=$(launched --config_file FSDP.yaml)
several=$(launched --config_file MULTI_GPU.yaml)
line=$(launched --cpu --num_processes 2)
echo "a file with distributed_type FSDP, 2 processes: $fsdp"
echo "a file with distributed_type MULTI_GPU, 2 processes: $several"
echo "--cpu --num_processes 2: $line"
[ "$fsdp" = "MULTI_CPU 2" ] && [ "$several" = "MULTI_CPU 2" ] && [ "$line" = "NO 1" ] || { echo "another behaviour" >&2; exit 1; }
