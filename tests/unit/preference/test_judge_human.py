"""The judge `human`: three file formats, scores and preferences, what nobody judged, mistakes in the file."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_up_items import items

from aligncap.config import Judge
from aligncap.errors import JudgeError
from aligncap.preference.judges import human

SCORED = [
    {"corpus": "tiny", "utterance_id": "u0", "candidate": "caption number 0", "factuality": 4, "faithfulness": 5,
     "annotator": "ann", "why": "sounds right"},
    {"corpus": "tiny", "utterance_id": "u0", "candidate": "caption  number 0", "factuality": 5, "faithfulness": 4,
     "annotator": "bob"},
    {"corpus": "tiny", "utterance_id": "u0", "candidate": "caption number 1", "factuality": 2},
    {"corpus": "tiny", "utterance_id": "u0", "candidate": "of another run", "factuality": 1, "faithfulness": 1},
]  # fmt: skip


def preferred(a, b, answer, **more):
    own = {"candidate_a": f"caption number {a}", "candidate_b": f"caption number {b}", "preferred": answer}
    return {"corpus": "tiny", "utterance_id": "u0", **own, **more}


def write(rows, path):
    names = list(dict.fromkeys(name for row in rows for name in row))
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8-sig", newline="") as stream:
            writer = csv.DictWriter(stream, names)
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows]), path)
    else:
        path.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    return path


def judge(path):
    return Judge(name="human", human={"answers": str(path)})


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_scores_are_averaged_over_people(tmp_path, suffix):
    opinions = human.score(judge(write(SCORED, tmp_path / f"answers.{suffix}")), items(3))
    assert (opinions[0].factuality, opinions[0].faithfulness) == (4.5, 4.5)
    assert opinions[0].rationale == "2 answers; sounds right"
    assert (opinions[1].factuality, opinions[1].faithfulness, opinions[1].overall) == (2, None, None)
    assert opinions[1].rationale == "unscored: nobody was asked about faithfulness"
    assert (opinions[2].overall, opinions[2].rationale) == (None, "unscored: nobody was asked")


def test_a_preference_becomes_the_share_of_comparisons_won(tmp_path):
    rows = [
        preferred(0, 1, "a"),
        preferred(1, 2, "a"),
        preferred(2, 0, "b"),
        preferred(1, 0, "tie", aspect="faithfulness"),
    ]
    opinions = human.score(judge(write(rows, tmp_path / "answers.jsonl")), items(3))
    assert [o.factuality for o in opinions] == [5, 3, 1]
    assert [o.faithfulness for o in opinions] == pytest.approx([1 + 4 * 2.5 / 3, 1 + 4 * 1.5 / 3, 1])
    assert opinions[0].overall > opinions[1].overall > opinions[2].overall


def test_a_score_goes_before_a_comparison(tmp_path):
    opinions = human.score(judge(write([*SCORED, preferred(0, 1, "b")], tmp_path / "a.csv")), items(2))
    assert opinions[0].factuality == 4.5 and opinions[1].factuality == 2 and opinions[1].faithfulness == 5


BASE = {"corpus": "tiny", "utterance_id": "u0"}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([SCORED[0] | {"factuality": 7}], r"line 1: factuality: .*less than or equal to 5, got 7"),
        ([SCORED[0], SCORED[1] | {"faithfulness": "good"}], r"line 2: faithfulness: .*got 'good'"),
        ([SCORED[0] | {"factualty": 3}], "line 1: factualty: Extra inputs"),
        ([BASE | {"candidate": "x"}], "line 1: the row: .*give either candidate"),
        ([SCORED[0] | preferred(0, 1, "a")], "line 1: the row: .*give either candidate"),
        ([BASE | {"candidate": "x"} | preferred(0, 1, "a")], "line 1: the row: .*give either candidate"),
        ([preferred(0, 0, "a")], "line 1: the row: .*the same caption"),
        ([preferred(0, 1, "left")], "line 1: preferred: .*got 'left'"),
        ([{"utterance_id": "u0"}], "line 1: corpus: Field required"),
        ([SCORED[3]], "none of its 1 answers is about one of these 3 captions"),
        ([], "has no rows"),
    ],
)
def test_mistakes_in_the_file_are_named(tmp_path, rows, told):
    path = write(rows, tmp_path / "answers.jsonl")
    with pytest.raises(JudgeError, match=told) as caught:
        human.score(judge(path), items(3))
    assert path.name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("none.csv", None, "no such file"),
        ("answers.txt", b"x", r"extension '\.txt', expected \.csv"),
        ("answers.jsonl", b'{"corpus": \n', "line 1: not JSON"),
        ("answers.jsonl", b"[1, 2]\n", "one JSON object a line"),
        ("answers.parquet", b"no parquet", "not a Parquet file"),
        ("answers.csv", b"corpus,why\ntiny,\xff\xfe\n", "is not UTF-8"),
    ],
)
def test_files_that_are_none_are_named(tmp_path, name, content, told):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(JudgeError, match=told) as caught:
        human.score(judge(tmp_path / name), items(1))
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_a_csv_row_is_called_by_its_line(tmp_path):
    rows = [SCORED[0] | {"why": "two\nlines"}, SCORED[1] | {"factuality": 9}]
    with pytest.raises(JudgeError, match="line 4: factuality"):
        human.score(judge(write(rows, tmp_path / "answers.csv")), items(1))
