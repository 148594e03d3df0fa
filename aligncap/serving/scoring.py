"""Scoring of any captions against any references with AlignCap's metrics, without a pipeline run or a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from aligncap.clues.hallucination_checks import Truth
from aligncap.clues.parser.grammar import dominant_emotion
from aligncap.config import Evaluation
from aligncap.corpora.base import Row, display, label, read_table
from aligncap.errors import CorpusError, ModelError
from aligncap.evaluation import bootstrap, metrics, score
from aligncap.evaluation.gold import SESSIONS, Gold
from aligncap.evaluation.tables.assertions import figures_by_kind
from aligncap.serving.locations import manifests, models_folder
from aligncap.vocabulary import SCALES, TIMBRES, canonical

IDS = ("utterance_id", "id", "path", "audio_path", "audio", "file")
PATHS = ("path", "audio_path", "audio", "file")  # the id is the file name without folder and extension
CAPTIONS = ("caption", "captions", "reference", "references", "caption_en", "text")


class Columns(NamedTuple):
    """The columns of a table for ids and captions; None stands for the first of ``IDS`` or ``CAPTIONS`` that it has."""

    identifier: str | None = None
    caption: str | None = None


ANY = Columns()


@dataclass(frozen=True)
class Scores:
    """The result of ``score_captions``.

    Attributes:
        figures: Metric -> ``value``, ``ci_low``, ``ci_high`` (95 % bootstrap; None where none is defined) and ``n``
            utterances; 0-1, but ``cider_d`` 0-10 and ``length_ratio``.
        items: One mapping per utterance: utterance_id, caption, label, dominant, flags, assertions (each with its
            ``verdict``), and every metric (None where it does not apply).
        by_kind: Assertions by kind of clue: rows of ``aligncap.evaluation.tables.assertions.figures_by_kind``.
        unavailable: Metric -> reason why it is absent.
    """

    figures: dict[str, dict[str, Any]]
    items: list[dict[str, Any]]
    by_kind: list[dict[str, Any]]
    unavailable: dict[str, str] = field(default_factory=dict)


EVALUATION = Evaluation()


def score_captions(
    captions: str | Path | Mapping[str, str],
    references: str | Path | Mapping[str, str | Sequence[str]],
    *,
    caption_columns: Columns = ANY,
    reference_columns: Columns = ANY,
    evaluation: Evaluation = EVALUATION,
    partial: bool = False,
    sentence_encoder: str | Path | None = None,
) -> Scores:
    """Score captions against references.

    Args:
        captions: Utterance id -> caption, or a CSV, TSV, JSONL or Parquet table of them; ``finished`` (false where a
            caption broke off) is used where the table has it.
        references: Utterance id -> one caption or several, or a table of them. Its columns ``emotion``, ``intensity``,
            ``level``, ``pitch``, ``rate``, ``timbre``, ``transcript``, ``session``, ``speaker`` and ``caption_group``
            are used where they exist: facts that a caption may contradict, and the clusters of the bootstrap. Without
            ``emotion`` the label is parsed from the first reference.
        caption_columns: Columns of the captions' table.
        reference_columns: Columns of the references' table.
        evaluation: METEOR or not (it needs Java), SPICE off, auto (where Java 8-11 and its jars exist) or require, and
            resamples and seed of the bootstrap.
        partial: Whether to score the existing captions where references have more; otherwise that is an error.
        sentence_encoder: Folder of a sentence-transformers model, for ``similarity``; by default one of ``models/``.

    Raises:
        CorpusError: A table cannot be read, or ids do not fit.
        MetricError: SPICE is required and unavailable.

    Examples:
        >>> scores = score_captions({"a": "She sounds sad."}, {"a": ["A sad voice."]})  # doctest: +SKIP
        >>> scores.figures["emotion_agreement_macro"]["value"]  # doctest: +SKIP
        1.0
    """
    metrics.why_absent(evaluation.meteor, evaluation.spice)  # raises before any work where SPICE is required
    gold = _gold(references, reference_columns)
    spoken, finished = _captions(captions, caption_columns)
    gold = _common(gold, spoken, partial)
    spoken = {name: spoken[name] for name in gold.ids}
    asked = {"captions": {name: spoken[name] for name in gold.captioned}}
    if gold.captioned:
        found, unavailable = metrics.text_metrics(asked, gold.references, evaluation.meteor, evaluation.spice)
        text = found["captions"]
    else:
        text, unavailable = metrics.TextScores(), dict.fromkeys(metrics.TEXT_METRICS, "no reference captions")
    vectors, reason = _vectors(gold, spoken, sentence_encoder)
    if reason:
        unavailable["similarity"] = reason
    scored = score.score_items(gold, spoken, finished, text, vectors, score.NO_OPINIONS)
    labels = [canonical(gold.label[name]) for name in gold.ids]
    clusters = [gold.cluster[name] for name in gold.ids]
    weights = bootstrap.resample_weights(clusters, labels, evaluation.bootstrap, evaluation.seed)
    checked = {name: [asdict(a) for a in verdict.assertions] for name, verdict in scored.verdicts.items()}
    items = [
        {
            "utterance_id": name,
            "caption": spoken[name],
            "label": gold.label[name],
            "dominant": scored.verdicts[name].dominant,
            "flags": list(scored.verdicts[name].flags),
            "assertions": checked[name],
            **{m: value for m, value in scored.items[name].items() if not m.endswith("_2")},
        }
        for name in gold.ids
    ]
    by_kind = figures_by_kind(weights, [list(checked.values())])
    return Scores(score.figures(scored, gold, weights), items, by_kind, unavailable)


def _vectors(gold: Gold, spoken: Mapping[str, str], folder: str | Path | None) -> tuple[dict[str, Any], str | None]:
    """Return embeddings of all captions, or the reason why there are none."""
    from aligncap.models.sentence_encoder import SentenceEncoder

    if not gold.captioned:
        return {}, "no reference captions"
    try:
        encoder = SentenceEncoder(Path(folder) if folder else find_sentence_encoder())
    except ModelError as error:
        return {}, str(error)
    return metrics.embed([*spoken.values(), *(t for own in gold.references.values() for t in own)], encoder), None


def find_sentence_encoder() -> Path:
    """Return the folder of the sentence encoder among the base models.

    Raises:
        ModelError: There is none.
    """
    folder = models_folder(None, Path.cwd())
    for path, manifest in manifests(folder):
        if manifest.get("format") == "sentence_transformers":
            return path.parent
    raise ModelError(
        f"{folder}: holds no sentence encoder; fetch one with 'snakemake models/all-minilm-l6-v2/manifest.json', or "
        "name a folder with --sentence-encoder"
    )


def _gold(references: str | Path | Mapping[str, str | Sequence[str]], columns: Columns) -> Gold:
    gold = Gold({}, {}, {}, {}, {})
    if isinstance(references, Mapping):
        rows = [
            (name, [given] if isinstance(given, str) else list(given), Row(name, {}))
            for name, given in references.items()
        ]
    else:
        rows = _table(Path(references), columns)
    merged: dict[str, tuple[list[str], Row]] = {}
    for name, texts, row in rows:  # a table may have a row for each reference of an utterance
        merged.setdefault(name, ([], row))[0].extend(texts)
    by_session = len({row.text("session") for _, row in merged.values() if row.text("session")}) >= SESSIONS
    for name, (texts, row) in merged.items():
        captions = [" ".join(text.split()) for text in texts if text.strip()]
        known = {kind: _value(row, kind) for kind in ("emotion", "intensity")}
        parsed = dominant_emotion(captions[0]) if captions and known["emotion"] is None else None
        gold.references[name], gold.label[name] = captions, known["emotion"] or parsed
        group = row.text("caption_group") or (captions[0] if captions else name)
        gold.cluster[name] = row.text("session") or name if by_session else group
        scales = {**SCALES, "timbre": TIMBRES}
        measured = {kind: row.text(kind) if row.text(kind) in scale else None for kind, scale in scales.items()}
        gold.truth[name] = Truth(canonical(gold.label[name]), **measured, intensity=known["intensity"])
        gold.transcript[name] = row.text("transcript")
    return gold


def _value(row: Row, kind: str) -> str | None:
    try:
        return label(row, kind, kind)
    except ValueError as error:
        raise CorpusError(f"{row.where}: {error}") from None


def _captions(captions: str | Path | Mapping[str, str], columns: Columns) -> tuple[dict[str, str], dict[str, bool]]:
    if isinstance(captions, Mapping):
        return {str(name): str(text) for name, text in captions.items()}, {}
    spoken: dict[str, str] = {}
    finished: dict[str, bool] = {}
    for name, texts, row in _table(Path(captions), columns):
        if name in spoken or len(texts) != 1:
            problem = f"a second caption of '{name}'" if name in spoken else f"{len(texts)} captions of '{name}'"
            raise CorpusError(f"{row.where}: {problem}; give one row with one caption for each utterance")
        spoken[name] = texts[0]
        finished[name] = row.text("finished").lower() != "false"
    return spoken, finished


def _table(path: Path, columns: Columns) -> list[tuple[str, list[str], Row]]:
    """Return (utterance id, captions, row) of every row."""
    if not path.is_file():
        raise CorpusError(f"{path}: no such file; name a CSV, TSV, JSONL or Parquet table")
    names, rows = read_table(path)
    chosen = []
    for wanted, usual, what in ((columns.identifier, IDS, "id"), (columns.caption, CAPTIONS, "caption")):
        column = wanted or next((name for name in usual if name in names), None)
        if column not in names:
            raise CorpusError(
                f"{display(path)}: no column {wanted or 'for the ' + what}; it has {', '.join(names)}; name the "
                f"column of the {what}"
            )
        chosen.append(column)
    identifier, caption = chosen
    found = []
    for row in rows:
        if row.problem is not None:
            raise CorpusError(f"{row.where}: {row.problem}")
        name = row.text(identifier)
        if identifier in PATHS:
            name = Path(name).stem
        if not name:
            raise CorpusError(f"{row.where}: '{identifier}' is empty; give each utterance its id")
        value = row.values.get(caption)
        texts = value if isinstance(value, list) else [] if value is None else [value]
        found.append((name, [str(text) for text in texts], row))
    return found


def _common(gold: Gold, spoken: Mapping[str, str], partial: bool) -> Gold:
    """Return the part of ``gold`` that has captions, in its order.

    Raises:
        CorpusError: No id is common, captions have other ids, or some are missing although not ``partial``.
    """
    strange = [name for name in spoken if name not in gold.references]
    missing = [name for name in gold.ids if name not in spoken]
    if len(strange) == len(spoken):
        raise CorpusError(
            f"captions and references have no utterance in common (captions: '{next(iter(spoken), '')}' …, references: "
            f"'{next(iter(gold.ids), '')}' …); name the columns of their ids"
        )
    if strange:
        raise CorpusError(f"{len(strange)} captions have no entry in the references, first '{strange[0]}'")
    if missing and not partial:
        raise CorpusError(
            f"{len(missing)} of {len(gold.ids)} references have no caption, first '{missing[0]}'; caption them, or "
            "score the others with --partial"
        )
    kept = [name for name in gold.ids if name in spoken]
    parts: list[Any] = [gold.references, gold.label, gold.cluster, gold.truth, gold.transcript]
    return Gold(*({name: part[name] for name in kept} for part in parts))


def say_what_is_missing(meteor: bool, spice: metrics.SpiceWish) -> list[str]:
    """Return one line for each reason why metrics will be absent; it looks for Java and jars and computes nothing.

    Raises:
        MetricError: SPICE is required and unavailable.
    """
    absent = metrics.why_absent(meteor, spice)
    wanted = {m: why for m, why in absent.items() if "switched off" not in why}
    return [
        f"{', '.join(m for m, why in wanted.items() if why == reason)} will be absent: {reason}"
        for reason in dict.fromkeys(wanted.values())
    ]
