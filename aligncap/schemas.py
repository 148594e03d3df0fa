"""The schema of every Parquet artifact, declared once: columns with type, unit and meaning.

``aligncap.artifacts`` is the only way to read and write them.
"""

from __future__ import annotations

import pyarrow as pa


def _field(name: str, kind: pa.DataType, meaning: str, unit: str = "", nullable: bool = False) -> pa.Field:
    metadata = {"meaning": meaning} | ({"unit": unit} if unit else {})
    return pa.field(name, kind, nullable=nullable, metadata=metadata)


CLUE = pa.struct(
    [
        _field("kind", pa.string(), "emotion, intensity, level, pitch, rate, timbre or pause"),
        _field("word", pa.string(), "as it stands in the caption; the tag itself for a predicted clue"),
        _field("lemma", pa.string(), "canonical value of the kind: 'sad', 'high', 'trembling' …"),
        _field("intensity", pa.string(), "weak, normal or strong"),
        _field("negated", pa.bool_(), "'not angry'"),
        _field("probability", pa.float32(), "1.0 for a parsed clue", unit="0-1"),
    ]
)

TEXT = pa.string()
F32, F64, I32, I64 = pa.float32(), pa.float64(), pa.int32(), pa.int64()
IDS = pa.list_(I32)
ID = _field("utterance_id", TEXT, "unique within its corpus")

DIFFERENCE = [
    _field("system", TEXT, "row of a table"),
    _field("against", TEXT, "its baseline"),
    _field("corpus", TEXT, "test corpus; for figure 3 the dev utterances"),
    _field("metric", TEXT, "name"),
    _field("value", F64, "system minus baseline on the same utterances and seeds; win_rate: minus 0.5"),
    _field("ci_low", F64, "95 % paired bootstrap over utterances, and seeds where there are several"),
    _field("ci_high", F64, "likewise"),
    _field("p", F64, "two-sided, from the same resamples", unit="0-1"),
    _field("p_holm", F64, "after Holm's correction over its family", unit="0-1"),
    _field("n", I32, "utterances compared: what both have, of a metric that applies to both"),
    _field("seeds", I32, "pairs of seeds"),
]
VERDICT = [
    _field("second_instrument", F64, "the same difference by the second instrument", nullable=True),
    _field("verdict", TEXT, "holds, against or open"),
]

SCHEMAS: dict[str, pa.Schema] = {
    "audio": pa.schema(
        [
            ID,
            _field("audio_path", TEXT, "relative to the project root"),
            _field("audio_sha256", TEXT, "of the file's bytes"),
            _field("sample_rate", I32, "of the file", unit="Hz"),
            _field("duration_s", F64, "of the decoded audio", unit="s"),
            _field("speaker", TEXT, "empty where unknown"),
            _field("session", TEXT, "empty where unknown"),
            _field("language", TEXT, "ISO 639-1"),
            _field("split", TEXT, "train, test or unlabelled: the corpus's role in this experiment"),
        ]
    ),
    "labels": pa.schema(
        [
            ID,
            _field("captions", pa.list_(pa.string()), "human captions; empty for a corpus with labels only"),
            _field("caption_group", TEXT, "equal where captions translate one original; its text", nullable=True),
            _field("emotion", TEXT, "one of aligncap.clues.EMOTIONS, or 'other'", nullable=True),
            _field("intensity", TEXT, "normal or strong", nullable=True),
            _field("valence", TEXT, "low, mid or high", nullable=True),
            _field("arousal", TEXT, "low, mid or high", nullable=True),
            _field("transcript", TEXT, "the corpus's own", nullable=True),
        ]
    ),
    "skipped": pa.schema(
        [
            ID,
            _field("audio_path", TEXT, "relative to the project root"),
            _field("reason", TEXT, "one line: what, where, the value got, the remedy"),
        ]
    ),
    "prosody": pa.schema(
        [
            ID,
            _field("pitch_hz", F64, "median F0 of voiced frames; null where nothing is voiced", "Hz", nullable=True),
            _field("pitch_range_st", F64, "10th to 90th percentile of F0", unit="semitones", nullable=True),
            _field("level_db", F64, "RMS of active frames", unit="dBFS"),
            _field("rate_hz", F64, "intensity peaks (syllable nuclei) per second of speech", unit="1/s"),
            _field("pause_share", F64, "silent share between first and last sound", unit="0-1"),
            _field("pitch", TEXT, "low, mid, high against the speaker's (else session's, corpus's) own clips"),
            _field("level", TEXT, "low, mid, high, likewise"),
            _field("rate", TEXT, "slow, mid, fast, likewise"),
        ]
    ),
    "timbre": pa.schema(
        [
            ID,
            _field("hnr_db", F64, "harmonics-to-noise ratio, mean of voiced frames; null in a whisper", "dB", True),
            _field("alpha_db", F64, "level at 1-5 kHz against 50 Hz-1 kHz, voiced frames", unit="dB", nullable=True),
            _field("voiced_share", F64, "voiced share of active frames", unit="0-1"),
            _field("timbre", TEXT, "breathy, rough, whispering or clear; see aligncap/speech/timbre.py"),
        ]
    ),
    "transcripts": pa.schema(
        [
            ID,
            _field("transcript", TEXT, "what was said, or its English translation; may be empty"),
            _field("language", TEXT, "of this text, ISO 639-1"),
            _field("source", TEXT, "corpus, asr or translated"),
            _field("avg_logprob", F64, "mean token log-probability of the ASR; 0 for the corpus's own", unit="nat"),
        ]
    ),
    "features": pa.schema(
        [
            ID,
            _field("n_layers", I32, "encoder layers kept"),
            _field("n_frames", I32, "after mean-pooling"),
            _field("dim", I32, "width of the encoder"),
            _field("dtype", TEXT, "float16"),
            _field("data", pa.large_binary(), "[n_layers, n_frames, dim], row-major"),
        ]
    ),
    "clues": pa.schema(
        [
            ID,
            _field("clues", pa.list_(CLUE), "in the order of the caption; predicted ones by kind"),
            _field("p_act", TEXT, "the acoustic prompt"),
            _field("p_sem_ids", IDS, "the semantic prompt: the LLM tokenizer's ids of the transcript"),
        ]
    ),
    "plan": pa.schema(
        [
            ID,
            _field("corpus", TEXT, "a training corpus"),
            _field("speaker_key", TEXT, "corpus/speaker, corpus/session or corpus/caption group: what splits are by"),
            _field("role", TEXT, "adapt (teacher), align (KD and baselines), preference, dev"),
            _field("fold", I32, "tagger fold that this utterance is predicted by, not trained in"),
        ]
    ),
    "tagger_predictions": pa.schema(
        [
            ID,
            _field("corpus", TEXT, "a training corpus"),
            _field("kind", TEXT, "clue kind"),
            _field("target", TEXT, "label the prediction is to be compared with; empty where unknown"),
            _field("labels", pa.list_(pa.string()), "order of the probabilities"),
            _field("probabilities", pa.list_(F32), "out of fold, calibrated", unit="0-1"),
        ]
    ),
    "tagger_table": pa.schema(
        [
            _field("corpus", TEXT, "training or test corpus"),
            _field("setting", TEXT, "speaker, corpus (out of fold by these) or test"),
            _field("source", TEXT, "voice, text or joined"),
            _field("kind", TEXT, "clue kind"),
            _field("metric", TEXT, "accuracy, macro_recall, ece, brier, coverage or accuracy_kept"),
            _field("value", F64, "0-1, brier 0-2"),
            _field("ci_low", F64, "95 % bootstrap", nullable=True),
            _field("ci_high", F64, "95 % bootstrap", nullable=True),
            _field("n", I32, "clips"),
        ]
    ),
    "reliability": pa.schema(
        [
            _field("corpus", TEXT, "training or test corpus"),
            _field("setting", TEXT, "as in tagger_table"),
            _field("source", TEXT, "as in tagger_table"),
            _field("kind", TEXT, "clue kind"),
            _field("bin_low", F64, "of the likeliest tag's probability, included", unit="0-1"),
            _field("bin_high", F64, "not included, but for 1", unit="0-1"),
            _field("confidence", F64, "mean probability of the likeliest tag", unit="0-1"),
            _field("accuracy", F64, "share of clips whose likeliest tag is the label", unit="0-1"),
            _field("n", I32, "clips"),
        ]
    ),
    "training": pa.schema(
        [
            _field("step", I32, "1-based; dev rows carry the step they were measured after"),
            _field("split", TEXT, "train or dev"),
            _field("metric", TEXT, "loss, nll, kl, chosen_logp, …"),
            _field("value", F64, "mean over the step's batch or the dev set"),
        ]
    ),
    "teacher_logits": pa.schema(
        [
            ID,
            _field("response_id", TEXT, "utterance_id#n"),
            _field("response_ids", IDS, "tokens of the response, end token included"),
            _field("topk_ids", pa.list_(IDS), "[n_tokens, k]"),
            _field("topk_logprobs", pa.list_(pa.list_(pa.float16())), "[n_tokens, k]", unit="nat"),
            _field("tail_logprob", pa.list_(F32), "log of the mass outside the top k, [n_tokens]", unit="nat"),
            _field("temperature", F32, "the distribution was divided by this before the softmax"),
        ]
    ),
    "teacher_responses": pa.schema(
        [
            ID,
            _field("response_id", TEXT, "utterance_id#gn"),
            _field("response_ids", IDS, "as the teacher said it; the end token is included when it came"),
            _field("caption", TEXT, "decoded"),
            _field("finished", pa.bool_(), "the end token came"),
        ]
    ),
    "kl_truncation": pa.schema(
        [
            _field("corpus", TEXT, "a training corpus; its dev utterances"),
            _field("k", I32, "tokens kept; the largest is the whole vocabulary"),
            _field("full_kl", F64, "KL(teacher || student), mean over response tokens", unit="nat"),
            _field("kept_kl", F64, "the same from top k and tail, as stored", unit="nat"),
            _field("error", F64, "full minus kept, mean", unit="nat"),
            _field("error_p95", F64, "95th percentile of the absolute error of a token", unit="nat"),
            _field("teacher_tail", F64, "the teacher's mass outside its top k, mean", unit="0-1"),
            _field("student_tail", F64, "the student's mass there, mean", unit="0-1"),
            _field("bytes_per_token", I64, "of the artifact before compression", unit="bytes"),
            _field("n_tokens", I32, "generated, end token included; words where there is no LLM"),
        ]
    ),
    "candidates": pa.schema(
        [
            _field("candidate_id", TEXT, "corpus/utterance_id#n"),
            ID,
            _field("corpus", TEXT, "a training corpus"),
            _field("caption", TEXT, "decoded"),
            _field("token_ids", IDS, "as sampled, end token included when it came"),
            _field("sum_logprob", F64, "under the sampling distribution at temperature 1", unit="nat"),
            _field("temperature", F32, "of sampling; 0 for a clue-swapped negative, which was not sampled"),
            _field("seed", I64, "of this utterance's generator"),
            _field("finished", pa.bool_(), "the end token came"),
        ]
    ),
    "judge_scores": pa.schema(
        [
            _field("candidate_id", TEXT, "of candidates"),
            _field("judge", TEXT, "reference, local, openai or human"),
            _field("factuality", F64, "higher is better", unit="1-5", nullable=True),
            _field("faithfulness", F64, "higher is better", unit="1-5", nullable=True),
            _field("overall", F64, "weighted; null where unscored", unit="1-5", nullable=True),
            _field("rationale", TEXT, "why, in words"),
        ]
    ),
    "judged_captions": pa.schema(
        [
            ID,
            _field("judge", TEXT, "reference, local, openai or human"),
            _field("factuality", F64, "higher is better; null where unscored", unit="1-5", nullable=True),
            _field("faithfulness", F64, "likewise", unit="1-5", nullable=True),
            _field("overall", F64, "weighted; null where unscored", unit="1-5", nullable=True),
        ]
    ),
    "judge_agreement": pa.schema(
        [
            _field("judge_a", TEXT, "one judge"),
            _field("judge_b", TEXT, "another"),
            _field("measure", TEXT, "spearman or kappa"),
            _field("of", TEXT, "a score; with accepted_ or preferred_ before it, decisions made by it"),
            _field("value", F64, "null where a judge never varies", unit="-1 to 1", nullable=True),
            _field("ci_low", F64, "95 % bootstrap over utterances", nullable=True),
            _field("ci_high", F64, "95 % bootstrap", nullable=True),
            _field("n", I32, "candidates, or twos of them for preferred_, that both judged"),
        ]
    ),
    "annotation": pa.schema(
        [
            _field("system", TEXT, "whose captions are called first"),
            _field("against", TEXT, "whose captions are called second; the same system for candidates"),
            _field("measure", TEXT, "win_rate, share_{answer}, cohen_kappa_{of} or fleiss_kappa_{of}; docs/pages.md"),
            _field("annotators", TEXT, "two names, or 'all'"),
            _field("value", F64, "0-1, kappa -1 to 1; null where it is undefined", nullable=True),
            _field("ci_low", F64, "95 % bootstrap over recordings, or sessions where there are ten", nullable=True),
            _field("ci_high", F64, "95 % bootstrap", nullable=True),
            _field("n", I32, "recordings"),
        ]
    ),
    "preference_pairs": pa.schema(
        [
            _field("pair_id", TEXT, "chosen_id>rejected_id"),
            ID,
            _field("corpus", TEXT, "a training corpus"),
            _field("kind", TEXT, "factuality or faithfulness: whose score the margin is of"),
            _field("chosen_id", TEXT, "candidate"),
            _field("rejected_id", TEXT, "candidate"),
            _field("chosen_ids", IDS, "token ids, trained on as they are"),
            _field("rejected_ids", IDS, "token ids, trained on as they are"),
            _field(
                "margin", F64, "difference of the kind's scores; 0 for a clue swap, which no judge saw", unit="points"
            ),
            _field("role", TEXT, "train or dev"),
        ]
    ),
    "reference_logps": pa.schema(
        [
            _field("pair_id", TEXT, "of preference_pairs"),
            _field("chosen_logp", F64, "sum over response tokens under the reference policy", unit="nat"),
            _field("rejected_logp", F64, "likewise", unit="nat"),
            _field("n_chosen", I32, "tokens"),
            _field("n_rejected", I32, "tokens"),
        ]
    ),
    "captions": pa.schema(
        [
            ID,
            _field("caption", TEXT, "the system's one sentence"),
            _field("n_tokens", I32, "generated, end token included; words where there is no LLM"),
            _field("finished", pa.bool_(), "the end token came before max_new_tokens"),
        ]
    ),
    "file_captions": pa.schema(
        [
            _field("path", TEXT, "as it was given"),
            _field("caption", TEXT, "the captioner's one sentence"),
            _field("clues", pa.list_(CLUE), "what it heard, by kind"),
            _field("transcript", TEXT, "of the ASR"),
            _field("duration_s", F64, "of the decoded audio", unit="s"),
            _field("finished", pa.bool_(), "the end token came before max_new_tokens"),
            _field("model", TEXT, "experiment/system@digest of the checkpoint"),
        ]
    ),
    "evaluation": pa.schema(
        [
            ID,
            _field("caption", TEXT, "what was scored"),
            _field("cluster", TEXT, "bootstrap cluster: session where ten or more, else caption group"),
            _field("label", TEXT, "the corpus's emotion label, else the parsed reference's", nullable=True),
            _field("dominant", TEXT, "dominant emotion of the caption", nullable=True),
            _field("metric_names", pa.list_(pa.string()), "order of values"),
            _field("metric_values", pa.list_(F64), "null where a metric does not apply to this utterance"),
            _field("flags", pa.list_(pa.string()), "hallucinations found, each 'kind: words'"),
        ]
    ),
    "second_opinions": pa.schema(
        [
            _field("caption", TEXT, "each distinct caption once"),
            _field("dominant", TEXT, "emotion that the second instrument finds; null where unsure", nullable=True),
            _field("probability", F64, "of the likeliest emotion, calibrated", unit="0-1"),
        ]
    ),
    "table": pa.schema(
        [
            _field("system", TEXT, "name in systems of the config"),
            _field("corpus", TEXT, "test corpus"),
            _field("metric", TEXT, "name"),
            _field("value", F64, "0-1 except cider_d"),
            _field("ci_low", F64, "95 % bootstrap; null where none is defined", nullable=True),
            _field("ci_high", F64, "95 % bootstrap", nullable=True),
            _field("n", I32, "utterances"),
        ]
    ),
    "parser": pa.schema(
        [
            _field("corpus", TEXT, "test corpus with human captions"),
            _field("language", TEXT, "of the captions that were parsed, ISO 639-1"),
            _field("measure", TEXT, "precision, recall, confusion, valence, … (aligncap/evaluation/parser_table.py)"),
            _field("emotion", TEXT, "class measured; of a confusion the label; 'all' where none"),
            _field("parsed", TEXT, "of a confusion the parsed dominant emotion, or 'none'; else empty"),
            _field("value", F64, "0-1, a count, -1 to 1; null where undefined", nullable=True),
            _field("ci_low", F64, "95 % bootstrap; null where none is defined", nullable=True),
            _field("ci_high", F64, "95 % bootstrap", nullable=True),
            _field("n", I32, "utterances the value is of"),
        ]
    ),
    "listeners": pa.schema(
        [
            _field("corpus", TEXT, "test corpus with human captions"),
            _field("kind", TEXT, "level, pitch or rate"),
            _field("said", TEXT, "end of the scale that captions say, or 'all'"),
            _field("measured", TEXT, "of a count the measured third; else empty"),
            _field("measure", TEXT, "count, same, opposite, opposite_by_chance (aligncap/evaluation/listeners.py)"),
            _field("value", F64, "a count, or 0-1"),
            _field("ci_low", F64, "95 % bootstrap; null where none is defined", nullable=True),
            _field("ci_high", F64, "95 % bootstrap", nullable=True),
            _field("n", I32, "captions the value is of"),
        ]
    ),
    "differences": pa.schema(DIFFERENCE),
    "claims": pa.schema([*DIFFERENCE, *VERDICT]),
    "hallucination_examples": pa.schema(
        [
            _field("corpus", TEXT, "test corpus"),
            ID,
            _field("kind", TEXT, "factuality or faithfulness"),
            _field("system", TEXT, "who said it"),
            _field("caption", TEXT, "what it said"),
            _field("flags", pa.list_(pa.string()), "of that kind, each 'kind: words'"),
            _field("label", TEXT, "emotion of the utterance", nullable=True),
            _field("reference", TEXT, "the first reference caption; empty where there is none"),
        ]
    ),
    "representations": pa.schema(
        [
            ID,
            _field("corpus", TEXT, "a training corpus; utterances of its dev split"),
            _field("modality", TEXT, "speech (the trained system) or text (LLM_0)"),
            _field("stage", TEXT, "before: LLM input; after: last hidden states of the probe; response: sqrt of p"),
            _field("vector", pa.list_(F32), "mean over positions; response: likeliest tokens and the tail, last one"),
            _field("kl", F64, "speech, response: KL(text || speech) a reference token", unit="nat", nullable=True),
        ]
    ),
    "tsne": pa.schema(
        [
            _field("system", TEXT, "a trained system"),
            _field("stage", TEXT, "as in representations"),
            _field("modality", TEXT, "speech or text"),
            _field("corpus", TEXT, "a training corpus"),
            ID,
            _field("x", F64, "t-SNE; units mean nothing"),
            _field("y", F64, "likewise"),
        ]
    ),
}
