"""Building blocks of the artifact schemas: the declaration of a column, short type names, and columns used together."""

from __future__ import annotations

import pyarrow as pa


def field(name: str, kind: pa.DataType, meaning: str, unit: str = "", nullable: bool = False) -> pa.Field:
    """Declare a column with its meaning and unit as metadata."""
    metadata = {"meaning": meaning} | ({"unit": unit} if unit else {})
    return pa.field(name, kind, nullable=nullable, metadata=metadata)


CLUE = pa.struct(
    [
        field("kind", pa.string(), "emotion, intensity, level, pitch, rate, timbre or pause"),
        field("word", pa.string(), "as it stands in the caption; the tag itself for a predicted clue"),
        field("lemma", pa.string(), "canonical value of the kind: 'sad', 'high', 'trembling' …"),
        field("intensity", pa.string(), "weak, normal or strong"),
        field("negated", pa.bool_(), "'not angry'"),
        field("probability", pa.float32(), "1.0 for a parsed clue", unit="0-1"),
    ]
)

ASSERTION = pa.struct(
    [
        field("kind", pa.string(), "as in a clue"),
        field("word", pa.string(), "as it stands in the caption"),
        field("lemma", pa.string(), "canonical value of the kind"),
        field("negated", pa.bool_(), "'not angry'"),
        field("verdict", pa.string(), "supported, contradicted or not_checkable"),
    ]
)

TEXT = pa.string()
F32, F64, I32, I64 = pa.float32(), pa.float64(), pa.int32(), pa.int64()
IDS = pa.list_(I32)
SPAN = pa.struct(
    [
        field("start", I32, "first sample of the decoded audio", unit="1/16000 s"),
        field("end", I32, "the sample after the last", unit="1/16000 s"),
    ]
)
ID = field("utterance_id", TEXT, "unique within its corpus")

OF_SYSTEM = [
    field("system", TEXT, "name in systems of the config"),
    field("corpus", TEXT, "test corpus"),
]
INTERVAL = [
    field("ci_low", F64, "95 % bootstrap; null where none is defined", nullable=True),
    field("ci_high", F64, "95 % bootstrap", nullable=True),
]
DIFFERENCE = [
    field("system", TEXT, "row of a table"),
    field("against", TEXT, "its baseline"),
    field("corpus", TEXT, "test corpus; for figure 3 the dev utterances"),
    field("metric", TEXT, "name"),
    field("value", F64, "system minus baseline on the same utterances and seeds; win_rate: minus 0.5"),
    field("ci_low", F64, "95 % paired bootstrap over utterances, and seeds where there are several"),
    field("ci_high", F64, "likewise"),
    field("p", F64, "two-sided, from the same resamples", unit="0-1"),
    field("p_holm", F64, "after Holm's correction over its family", unit="0-1"),
    field("n", I32, "utterances compared: what both have, of a metric that applies to both"),
    field("seeds", I32, "pairs of seeds"),
]
VERDICT = [
    field("second_instrument", F64, "the same difference by the second instrument", nullable=True),
    field("verdict", TEXT, "holds, against or open"),
]
