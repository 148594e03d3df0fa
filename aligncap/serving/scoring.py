"""Scoring of any captions against any references with AlignCap's metrics, without a pipeline run or a model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aligncap.clues.hallucination_checks import Truth
from aligncap.clues.parser.grammar import dominant_emotion, parse_clues
from aligncap.clues.parser.words import ATTRIBUTE_WORDS
from aligncap.clues.scripts import LANGUAGES, by_characters, language_of
from aligncap.config import Evaluation
from aligncap.corpora.base import Row, label
from aligncap.errors import ConfigError, CorpusError, ModelError
from aligncap.evaluation import bootstrap, hallucination, metrics, score
from aligncap.evaluation.gold import SESSIONS, Gold
from aligncap.evaluation.tables.assertions import figures_by_kind
from aligncap.serving.locations import manifests, models_folder
from aligncap.serving.score_tables import ANY, Columns, Told, ids_of_paths, read_told
from aligncap.vocabulary import SCALES, TIMBRES, canonical, on_scale

AGREEMENT = ("emotion_agreement_macro", "emotion_agreement_macro_n10")
FACTS = ("emotion", "intensity", *SCALES, "timbre")  # of an utterance, whatever its reference
USED = (*FACTS, "transcript", "session", "caption_group")  # columns of references
# A sentence encoder that does not know this share of a text's tokens cannot tell its meaning.
UNREAD = 0.1


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

    Captions whose script is Chinese, Japanese or Korean are compared by character and read by the emotion grammar of
    their language, if one is installed. What reads English only is absent then, with the reason.

    Args:
        captions: Utterance id -> caption, or a CSV, TSV, JSONL or Parquet table of them; ``finished`` (false where a
            caption broke off) is used where the table has it.
        references: Utterance id -> one caption or several, or a table of them. Its columns ``emotion``, ``intensity``,
            ``level``, ``pitch``, ``rate``, ``timbre``, ``transcript``, ``session`` and ``caption_group`` are used where
            they exist: facts that a caption may contradict, and the clusters of the bootstrap. Of several rows of an
            utterance each may state a fact, and none another one. Without
            ``emotion`` the label is parsed from the first reference. Words such as "Quiet" stand for values of
            ``aligncap.vocabulary.SCALES``. A cell may hold a list of references, in JSON or Python's notation.
        caption_columns: Columns of the captions' table.
        reference_columns: Columns of the references' table.
        evaluation: METEOR or not (it needs Java), SPICE off, auto (where Java 8-11 and its jars exist) or require, and
            resamples and seed of the bootstrap.
        partial: Whether to score the existing captions where references have more; otherwise that is an error.
        sentence_encoder: Folder of a sentence-transformers model, for ``similarity``; by default one of ``models/``.

    Raises:
        CorpusError: A table cannot be read, a label or a measured value is none, ids do not fit, or captions and
            references are in different languages.
        MetricError: SPICE is required and unavailable.

    Examples:
        >>> scores = score_captions({"a": "She sounds sad."}, {"a": ["A sad voice."]})  # doctest: +SKIP
        >>> scores.figures["emotion_agreement_macro"]["value"]  # doctest: +SKIP
        1.0
    """
    metrics.why_absent(evaluation.meteor, evaluation.spice)  # raises before any work where SPICE is required
    told, told_by_path = _told(references, reference_columns)
    said, said_by_path = _told(captions, caption_columns)
    told = _named(told, told_by_path, () if said_by_path else {row.name for row in said})
    said = _named(said, said_by_path, {row.name for row in told})
    language = _language(told, said)
    grammar, absent = _grammar(language)
    spoken, finished = _captions(said)
    gold = _gold(told, grammar, spoken)
    gold = _common(gold, spoken, partial)
    spoken = {name: spoken[name] for name in gold.ids}
    asked = {"captions": {name: spoken[name] for name in gold.captioned}}
    if gold.captioned:
        found, unavailable = metrics.text_metrics(asked, gold.references, evaluation.meteor, evaluation.spice)
        text = found["captions"]
    else:
        text, unavailable = metrics.TextScores(), dict.fromkeys(metrics.TEXT_METRICS, "no reference captions")
    vectors, reason = _vectors(gold, spoken, sentence_encoder, language)
    if reason:
        absent["similarity"] = reason
    unavailable |= absent
    scored = score.score_items(gold, spoken, finished, text, vectors, score.NO_OPINIONS, grammar)
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


def _vectors(
    gold: Gold, spoken: Mapping[str, str], folder: str | Path | None, language: str
) -> tuple[dict[str, Any], str | None]:
    """Return embeddings of all captions in the references' script, or the reason why there are none."""
    from aligncap.models.sentence_encoder import SentenceEncoder

    if not gold.captioned:
        return {}, "no reference captions"
    if language != "en" and folder is None:
        return {}, (
            f"the sentence encoder of models/ reads English, the captions are {LANGUAGES[language]}; name one that "
            "reads them with --sentence-encoder"
        )
    own = [text for text in spoken.values() if _fits(text, language)]
    texts = [*own, *(text for own in gold.references.values() for text in own)]
    try:
        encoder = SentenceEncoder(Path(folder) if folder else find_sentence_encoder())
    except ModelError as error:
        return {}, str(error)
    if language != "en" and (unknown := encoder.unknown(texts)) > UNREAD:
        reads = f"name a sentence encoder that reads {LANGUAGES[language]}"
        return {}, f"{folder}: {unknown:.0%} of the tokens are none of its vocabulary; {reads}"
    return metrics.embed(texts, encoder), None


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


def _told(source: str | Path | Mapping[str, str | Sequence[str]], columns: Columns) -> tuple[list[Told], bool]:
    """Return the rows of a table or a mapping, and whether their names are paths."""
    if not isinstance(source, Mapping):
        return read_told(Path(source), columns)
    given = {str(name): [own] if isinstance(own, str) else list(own) for name, own in source.items()}
    return [Told(name, texts, Row(name, {})) for name, texts in given.items()], False


def _named(rows: Sequence[Told], by_path: bool, known: Collection[str]) -> list[Told]:
    """Return the rows with ids for names that are paths."""
    if not by_path:
        return list(rows)
    ids = ids_of_paths([row.name for row in rows], known)
    return [row._replace(name=ids[row.name]) for row in rows]


def _language(references: Iterable[Told], captions: Iterable[Told]) -> str:
    """Return the language of references and captions, by their script; of the captions where there are no references.

    Raises:
        CorpusError: The references are in two languages, or the captions in another one.
    """
    texts = [(row, text) for row in references for text in row.texts]
    language = language_of(text for _, text in texts)
    said = language_of(text for row in captions for text in row.texts)
    if language and said and said != language:
        raise CorpusError(
            f"the captions are {LANGUAGES[said]} and the references {LANGUAGES[language]}, which no metric can "
            "compare; give references in the language of the captions"
        )
    odd = next((row for row, text in texts if language and not _fits(text, language)), None)
    if language and odd is not None:
        raise CorpusError(
            f"{odd.row.where}: a reference of '{odd.name}' is not {LANGUAGES[language]} as most are; give references "
            "in one language"
        )
    return language or said or "en"


def _fits(text: str, language: str) -> bool:
    """Return whether a text is of the script of a language; one without words is of every script."""
    return language_of([text]) is None or by_characters(text) == (language != "en")


def _grammar(language: str) -> tuple[str | None, dict[str, str]]:
    """Return the language of the emotion grammar, None where there is none, and metric -> reason why it is absent."""
    try:
        parse_clues("", language)
    except ConfigError as error:
        return None, dict.fromkeys((*hallucination.METRICS, *AGREEMENT), str(error))
    reason = f"its word lists are English, the captions are {LANGUAGES[language]}"
    return language, {} if language == "en" else {"faithfulness_hallucination": reason}


def _gold(rows: Sequence[Told], grammar: str | None, spoken: Mapping[str, str]) -> Gold:
    gold = Gold({}, {}, {}, {}, {})
    several: dict[str, tuple[list[str], list[Row]]] = defaultdict(lambda: ([], []))
    for name, texts, row in rows:  # a table may have a row for each reference of an utterance
        several[name][0].extend(texts)
        several[name][1].append(row)
    merged = {name: (texts, _merged(name, own)) for name, (texts, own) in several.items()}
    sessions = {row.text("session") for name, (_, row) in merged.items() if name in spoken}
    by_session = len(sessions - {""}) >= SESSIONS
    for name, (texts, row) in merged.items():
        captions = [" ".join(text.split()) for text in texts if text.strip()]
        known = {kind: _value(row, kind) for kind in ("emotion", "intensity")}
        parsed = dominant_emotion(captions[0], grammar) if captions and grammar and known["emotion"] is None else None
        gold.references[name], gold.label[name] = captions, known["emotion"] or parsed
        group = row.text("caption_group") or (captions[0] if captions else name)
        gold.cluster[name] = row.text("session") or name if by_session else group
        measured = {kind: _measured(row, kind) for kind in (*SCALES, "timbre")}
        gold.truth[name] = Truth(canonical(gold.label[name]), **measured, intensity=known["intensity"])
        gold.transcript[name] = row.text("transcript")
    return gold


def _merged(name: str, rows: Sequence[Row]) -> Row:
    """Return the first of an utterance's rows with the cells that are empty in it and filled in another.

    Raises:
        CorpusError: Two rows state different facts.
    """
    values = dict(rows[0].values)
    for row in rows[1:]:
        for column in USED:
            said, before = row.text(column), Row(row.where, values).text(column)
            if said and not before:
                values[column] = row.values[column]
            elif said.lower() != before.lower() and said and column in FACTS:
                raise CorpusError(
                    f"{row.where}: {column} '{said}' of '{name}', which has '{before}' in {rows[0].where}; state one"
                )
    return Row(rows[0].where, values, rows[0].problem)


def _value(row: Row, kind: str) -> str | None:
    try:
        return label(row, kind, kind)
    except ValueError as error:
        raise CorpusError(f"{row.where}: {error}") from None


def _measured(row: Row, kind: str) -> str | None:
    """Return the level, pitch, rate or timbre of a row; None where the cell is empty."""
    said = row.text(kind)
    if not said:
        return None
    timbres = dict.fromkeys((*TIMBRES, *(value for of, value in ATTRIBUTE_WORDS if of == "timbre")))
    value = on_scale(kind, said) if kind in SCALES else said.lower() if said.lower() in timbres else None
    if value is None:
        expected = ", ".join(SCALES.get(kind, timbres))
        raise CorpusError(
            f"{row.where}: {kind} '{said}', expected one of {expected}; correct the table, or rename the column"
        )
    return value


def _captions(said: Sequence[Told]) -> tuple[dict[str, str], dict[str, bool]]:
    spoken: dict[str, str] = {}
    finished: dict[str, bool] = {}
    for name, texts, row in said:
        if name in spoken or len(texts) != 1:
            problem = f"a second caption of '{name}'" if name in spoken else f"{len(texts)} captions of '{name}'"
            raise CorpusError(f"{row.where}: {problem}; give one row with one caption for each utterance")
        spoken[name] = texts[0]
        finished[name] = row.text("finished").lower() not in ("false", "0", "0.0", "no")
    return spoken, finished


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
