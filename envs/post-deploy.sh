#!/usr/bin/env bash
# Snakemake runs this once, inside the new environment, with the project root as the working directory.
set -euo pipefail
root="${ALIGNCAP_ROOT:-$PWD}"
if ! grep -qs '^name = "aligncap"' "$root/pyproject.toml"; then
  echo "envs: $root is not the AlignCap checkout; run snakemake in it, or set ALIGNCAP_ROOT to it" >&2
  exit 1
fi
python -m pip install --no-input --no-deps "$(grep '^nrclex==' "$root/requirements.lock")"
python -m pip install --no-input --no-deps --no-build-isolation --editable "$root" --editable "$root/plugins/aligncap-zh"
