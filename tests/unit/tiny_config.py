"""The smallest config that `parse` takes: two corpora, one trained system, nothing on the disk."""

SOURCE = {"name": "m", "files": ["random:llama"]}
RAW = {
    "experiment": "tiny",
    "models": {"llm": SOURCE, "speech_encoder": SOURCE, "asr": SOURCE, "sentence_encoder": SOURCE},
    "corpora": {
        "a": {"adapter": "manifest", "root": "a.csv", "role": "train"},
        "b": {"adapter": "manifest", "root": "b.csv", "role": "test"},
    },
    "systems": {"kd": {"stage": "alignment"}},
}
