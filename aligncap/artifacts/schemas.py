"""The schemas of all Parquet artifacts: columns with type, unit and meaning.

Artifacts are read and written only through ``aligncap.artifacts``.
"""

from __future__ import annotations

import pyarrow as pa

from aligncap.artifacts.fields import (
    ASSERTION,
    CLUE,
    DIFFERENCE,
    F32,
    F64,
    I32,
    I64,
    ID,
    IDS,
    INTERVAL,
    OF_SYSTEM,
    SPAN,
    TEXT,
    VERDICT,
    field,
)

SCHEMAS: dict[str, pa.Schema] = {
    "audio": pa.schema(
        [
            ID,
            field("audio_path", TEXT, "relative to the project root"),
            field("audio_sha256", TEXT, "of the file's bytes"),
            field("sample_rate", I32, "of the file", unit="Hz"),
            field("duration_s", F64, "of the decoded audio", unit="s"),
            field("speech", pa.list_(SPAN), "where it holds speech: all that models hear and that is measured"),
            field("speaker", TEXT, "empty where unknown"),
            field("session", TEXT, "empty where unknown"),
            field("language", TEXT, "ISO 639-1"),
            field("split", TEXT, "train, test or unlabelled: the corpus's role in this experiment"),
        ]
    ),
    "labels": pa.schema(
        [
            ID,
            field("captions", pa.list_(pa.string()), "human captions; empty for a corpus with labels only"),
            field("caption_group", TEXT, "equal where captions translate one original; its text", nullable=True),
            field("emotion", TEXT, "one of aligncap.clues.EMOTIONS, or 'other'", nullable=True),
            field("intensity", TEXT, "normal or strong", nullable=True),
            field("valence", TEXT, "low, mid or high", nullable=True),
            field("arousal", TEXT, "low, mid or high", nullable=True),
            field("transcript", TEXT, "the corpus's own", nullable=True),
        ]
    ),
    "skipped": pa.schema(
        [
            ID,
            field("audio_path", TEXT, "relative to the project root"),
            field("reason", TEXT, "one line: what, where, the value got, the remedy"),
        ]
    ),
    "prosody": pa.schema(
        [
            ID,
            field("pitch_hz", F64, "median F0 of voiced frames; null where nothing is voiced", "Hz", nullable=True),
            field("pitch_range_st", F64, "10th to 90th percentile of F0", unit="semitones", nullable=True),
            field("level_db", F64, "RMS of active frames; null in a level-normalised corpus", "dBFS", nullable=True),
            field("rate_hz", F64, "intensity peaks (syllable nuclei) per second of speech", unit="1/s"),
            field("pitch", TEXT, "low, mid, high against the speaker's (else session's, corpus's) own clips"),
            field("level", TEXT, "low, mid, high, likewise; null in a level-normalised corpus", nullable=True),
            field("rate", TEXT, "slow, mid, fast, likewise"),
        ]
    ),
    "timbre": pa.schema(
        [
            ID,
            field("hnr_db", F64, "harmonics-to-noise ratio, mean of voiced frames; null in a whisper", "dB", True),
            field("alpha_db", F64, "level at 1-5 kHz against 50 Hz-1 kHz, voiced frames", unit="dB", nullable=True),
            field("voiced_share", F64, "voiced share of active frames", unit="0-1"),
            field("timbre", TEXT, "breathy, rough, whispering or clear; see aligncap/speech/timbre.py"),
        ]
    ),
    "transcripts": pa.schema(
        [
            ID,
            field("transcript", TEXT, "what was said, or its English translation; may be empty"),
            field("language", TEXT, "of this text, ISO 639-1"),
            field("source", TEXT, "corpus, asr or translated"),
            field("avg_logprob", F64, "mean token log-probability of the ASR; 0 for the corpus's own", unit="nat"),
        ]
    ),
    "features": pa.schema(
        [
            ID,
            field("n_layers", I32, "encoder layers kept"),
            field("n_frames", I32, "after mean-pooling"),
            field("dim", I32, "width of the encoder"),
            field("dtype", TEXT, "float16"),
            field("data", pa.large_binary(), "[n_layers, n_frames, dim], row-major"),
        ]
    ),
    "clues": pa.schema(
        [
            ID,
            field("clues", pa.list_(CLUE), "in the order of the caption; predicted ones by kind"),
            field("p_act", TEXT, "the acoustic prompt"),
            field("p_sem_ids", IDS, "the semantic prompt: the LLM tokenizer's ids of the transcript"),
        ]
    ),
    "descriptions": pa.schema(
        [
            ID,
            field("source", TEXT, "name of the table, without its ending"),
            field("caption", TEXT, "a description of a voice"),
            field("clues", pa.list_(CLUE), "in the order of the description"),
            field("p_act", TEXT, "the acoustic prompt"),
        ]
    ),
    "plan": pa.schema(
        [
            ID,
            field("corpus", TEXT, "a training corpus"),
            field("speaker_key", TEXT, "corpus/speaker, corpus/session or corpus/caption group: what splits are by"),
            field("role", TEXT, "adapt (teacher), align (KD and baselines), preference, dev"),
            field("fold", I32, "tagger fold that this utterance is predicted by, not trained in"),
        ]
    ),
    "tagger_predictions": pa.schema(
        [
            ID,
            field("corpus", TEXT, "a training corpus"),
            field("kind", TEXT, "clue kind"),
            field("target", TEXT, "label the prediction is to be compared with; empty where unknown"),
            field("labels", pa.list_(pa.string()), "order of the probabilities"),
            field("probabilities", pa.list_(F32), "out of fold, calibrated", unit="0-1"),
        ]
    ),
    "tagger_table": pa.schema(
        [
            field("corpus", TEXT, "training or test corpus"),
            field("setting", TEXT, "speaker, corpus (out of fold by these) or test"),
            field("source", TEXT, "voice, text or joined"),
            field("kind", TEXT, "clue kind"),
            field("metric", TEXT, "accuracy, macro_recall, ece, brier, coverage or accuracy_kept"),
            field("value", F64, "0-1, brier 0-2"),
            *INTERVAL,
            field("n", I32, "clips"),
        ]
    ),
    "reliability": pa.schema(
        [
            field("corpus", TEXT, "training or test corpus"),
            field("setting", TEXT, "as in tagger_table"),
            field("source", TEXT, "as in tagger_table"),
            field("kind", TEXT, "clue kind"),
            field("bin_low", F64, "of the likeliest tag's probability, included", unit="0-1"),
            field("bin_high", F64, "not included, but for 1", unit="0-1"),
            field("confidence", F64, "mean probability of the likeliest tag", unit="0-1"),
            field("accuracy", F64, "share of clips whose likeliest tag is the label", unit="0-1"),
            field("n", I32, "clips"),
        ]
    ),
    "training": pa.schema(
        [
            field("step", I32, "1-based; dev rows carry the step they were measured after"),
            field("split", TEXT, "train or dev"),
            field("metric", TEXT, "loss, nll, kl, chosen_logp, …"),
            field("value", F64, "mean over the step's batch or the dev set"),
        ]
    ),
    "teacher_logits": pa.schema(
        [
            ID,
            field("response_id", TEXT, "utterance_id#n"),
            field("response_ids", IDS, "tokens of the response, end token included"),
            field("topk_ids", pa.list_(IDS), "[n_tokens, k]"),
            field("topk_logprobs", pa.list_(pa.list_(pa.float16())), "[n_tokens, k]", unit="nat"),
            field("tail_logprob", pa.list_(F32), "log of the mass outside the top k, [n_tokens]", unit="nat"),
            field("temperature", F32, "the distribution was divided by this before the softmax"),
        ]
    ),
    "teacher_responses": pa.schema(
        [
            ID,
            field("response_id", TEXT, "utterance_id#gn"),
            field("response_ids", IDS, "as the teacher said it; the end token is included when it came"),
            field("caption", TEXT, "decoded"),
            field("finished", pa.bool_(), "the end token came"),
        ]
    ),
    "candidates": pa.schema(
        [
            field("candidate_id", TEXT, "corpus/utterance_id#n"),
            ID,
            field("corpus", TEXT, "a training corpus"),
            field("caption", TEXT, "decoded"),
            field("token_ids", IDS, "as sampled, end token included when it came"),
            field("sum_logprob", F64, "under the sampling distribution at temperature 1", unit="nat"),
            field("temperature", F32, "of sampling"),
            field("seed", I64, "of this utterance's generator"),
            field("finished", pa.bool_(), "the end token came"),
        ]
    ),
    "judge_scores": pa.schema(
        [
            field("candidate_id", TEXT, "of candidates"),
            field("judge", TEXT, "reference, local, openai or human"),
            field("factuality", F64, "higher is better", unit="1-5", nullable=True),
            field("faithfulness", F64, "higher is better", unit="1-5", nullable=True),
            field("overall", F64, "weighted; null where unscored", unit="1-5", nullable=True),
            field("rationale", TEXT, "why, in words"),
        ]
    ),
    "judged_captions": pa.schema(
        [
            ID,
            field("judge", TEXT, "reference, local, openai or human"),
            field("factuality", F64, "higher is better; null where unscored", unit="1-5", nullable=True),
            field("faithfulness", F64, "likewise", unit="1-5", nullable=True),
            field("overall", F64, "weighted; null where unscored", unit="1-5", nullable=True),
        ]
    ),
    "judge_agreement": pa.schema(
        [
            field("judge_a", TEXT, "one judge"),
            field("judge_b", TEXT, "another"),
            field("measure", TEXT, "spearman or kappa"),
            field("of", TEXT, "a score; with accepted_ or preferred_ before it, decisions made by it"),
            field("value", F64, "null where a judge never varies; resampled by utterance", "-1 to 1", nullable=True),
            *INTERVAL,
            field("n", I32, "candidates, or twos of them for preferred_, that both judged"),
        ]
    ),
    "annotation": pa.schema(
        [
            field("system", TEXT, "whose captions are called first"),
            field("against", TEXT, "whose captions are called second; the same system for candidates"),
            field("measure", TEXT, "win_rate, share_{answer}, cohen_kappa_{of} or fleiss_kappa_{of}; docs/pages.md"),
            field("annotators", TEXT, "two names, or 'all'"),
            field("value", F64, "0-1, kappa -1 to 1; null where it is undefined", nullable=True),
            field("ci_low", F64, "95 % bootstrap over recordings, or sessions where there are ten", nullable=True),
            field("ci_high", F64, "95 % bootstrap", nullable=True),
            field("n", I32, "recordings"),
        ]
    ),
    "preference_pairs": pa.schema(
        [
            field("pair_id", TEXT, "chosen_id>rejected_id"),
            ID,
            field("corpus", TEXT, "a training corpus"),
            field("kind", TEXT, "factuality or faithfulness: whose score the margin is of"),
            field("chosen_id", TEXT, "candidate"),
            field("rejected_id", TEXT, "candidate"),
            field("chosen_ids", IDS, "token ids, trained on as they are"),
            field("rejected_ids", IDS, "token ids, trained on as they are"),
            field("margin", F64, "difference of the kind's scores; 0 where no judge saw the rejected", unit="points"),
            field("role", TEXT, "train or dev"),
        ]
    ),
    "reference_logps": pa.schema(
        [
            field("pair_id", TEXT, "of preference_pairs"),
            field("chosen_logp", F64, "sum over response tokens under the reference policy", unit="nat"),
            field("rejected_logp", F64, "likewise", unit="nat"),
            field("n_chosen", I32, "tokens"),
            field("n_rejected", I32, "tokens"),
        ]
    ),
    "captions": pa.schema(
        [
            ID,
            field("caption", TEXT, "the system's one sentence"),
            field("n_tokens", I32, "generated, end token included; words where there is no LLM"),
            field("finished", pa.bool_(), "the end token came before max_new_tokens"),
        ]
    ),
    "file_captions": pa.schema(
        [
            field("path", TEXT, "as it was given"),
            field("caption", TEXT, "the captioner's one sentence"),
            field("clues", pa.list_(CLUE), "what it heard, by kind"),
            field("transcript", TEXT, "of the ASR"),
            field("duration_s", F64, "of the decoded audio", unit="s"),
            field("finished", pa.bool_(), "the end token came before max_new_tokens"),
            field("familiarity", F64, "how like the training speech it sounds", unit="0-1"),
            field("warnings", pa.list_(TEXT), "what a reader of the caption should know"),
            field("model", TEXT, "experiment/system@digest of the checkpoint, and what is done about doubt"),
        ]
    ),
    "evaluation": pa.schema(
        [
            ID,
            field("caption", TEXT, "what was scored"),
            field("cluster", TEXT, "bootstrap cluster: session where ten or more, else caption group"),
            field("label", TEXT, "the corpus's emotion label, else the parsed reference's", nullable=True),
            field("dominant", TEXT, "dominant emotion of the caption", nullable=True),
            field("metric_names", pa.list_(pa.string()), "order of values"),
            field("metric_values", pa.list_(F64), "null where a metric does not apply to this utterance"),
            field("flags", pa.list_(pa.string()), "hallucinations found, each 'kind: words'"),
            field("assertions", pa.list_(ASSERTION), "every clue of the caption, checked by itself"),
        ]
    ),
    "assertions": pa.schema(
        [
            *OF_SYSTEM,
            field("kind", TEXT, "clue kind, or 'all'"),
            field("metric", TEXT, "precision, contradicted, not_checkable, supported_/contradicted_per_caption"),
            field("value", F64, "a share, 0-1, or a number a caption"),
            *INTERVAL,
            field("n", I32, "what it is a share of: assertions, of precision those that are checkable; or captions"),
        ]
    ),
    "second_opinions": pa.schema(
        [
            field("caption", TEXT, "each distinct caption once"),
            field("dominant", TEXT, "emotion that the second instrument finds; null where unsure", nullable=True),
            field("probability", F64, "of the likeliest emotion, calibrated", unit="0-1"),
        ]
    ),
    "table": pa.schema(
        [
            *OF_SYSTEM,
            field("metric", TEXT, "name"),
            field("value", F64, "0-1 except cider_d"),
            *INTERVAL,
            field("n", I32, "utterances"),
        ]
    ),
    "risk_coverage": pa.schema(
        [
            *OF_SYSTEM,
            field("metric", TEXT, "risk: a factuality hallucination"),
            field("coverage", F64, "share of clips captioned, surest emotion tag first", unit="0-1"),
            field("value", F64, "mean risk of these clips", unit="0-1"),
            *INTERVAL,
            field("n", I32, "clips at coverage 1"),
        ]
    ),
    "parser": pa.schema(
        [
            field("corpus", TEXT, "test corpus with human captions"),
            field("language", TEXT, "of the captions that were parsed, ISO 639-1"),
            field("measure", TEXT, "precision, recall, confusion, valence, … (aligncap/evaluation/parser_table.py)"),
            field("emotion", TEXT, "class measured; of a confusion the label; 'all' where none"),
            field("parsed", TEXT, "of a confusion the parsed dominant emotion, or 'none'; else empty"),
            field("value", F64, "0-1, a count, -1 to 1; null where undefined", nullable=True),
            *INTERVAL,
            field("n", I32, "utterances the value is of"),
        ]
    ),
    "listeners": pa.schema(
        [
            field("corpus", TEXT, "test corpus with human captions"),
            field("kind", TEXT, "level, pitch or rate"),
            field("said", TEXT, "end of the scale that captions say, or 'all'"),
            field("measured", TEXT, "of a count the measured third; else empty"),
            field("measure", TEXT, "count, same, opposite, opposite_by_chance (aligncap/evaluation/listeners.py)"),
            field("value", F64, "a count, or 0-1"),
            *INTERVAL,
            field("n", I32, "captions the value is of"),
        ]
    ),
    "differences": pa.schema(DIFFERENCE),
    "claims": pa.schema([*DIFFERENCE, *VERDICT]),
    "hallucination_examples": pa.schema(
        [
            field("corpus", TEXT, "test corpus"),
            ID,
            field("kind", TEXT, "factuality or faithfulness"),
            field("system", TEXT, "who said it"),
            field("caption", TEXT, "what it said"),
            field("flags", pa.list_(pa.string()), "of that kind, each 'kind: words'"),
            field("label", TEXT, "emotion of the utterance", nullable=True),
            field("reference", TEXT, "the first reference caption; empty where there is none"),
        ]
    ),
    "representations": pa.schema(
        [
            ID,
            field("corpus", TEXT, "a training corpus; utterances of its dev split"),
            field("modality", TEXT, "speech (the trained system) or text (LLM_0)"),
            field("stage", TEXT, "before: LLM input; after: last hidden states of the probe; response: sqrt of p"),
            field("vector", pa.list_(F32), "mean over positions; response: likeliest tokens and the tail, last one"),
            field("kl", F64, "speech, response: KL(text || speech) a reference token", unit="nat", nullable=True),
        ]
    ),
    "tsne": pa.schema(
        [
            field("system", TEXT, "a trained system"),
            field("stage", TEXT, "as in representations"),
            field("modality", TEXT, "speech or text"),
            field("corpus", TEXT, "a training corpus"),
            ID,
            field("x", F64, "t-SNE; units mean nothing"),
            field("y", F64, "likewise"),
        ]
    ),
}
