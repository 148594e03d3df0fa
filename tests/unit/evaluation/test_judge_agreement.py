"""Agreement of judges: known figures, ties, unscored rows, judges that never vary."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from aligncap import artifacts
from aligncap.config import Evaluation
from aligncap.errors import ArtifactError
from aligncap.evaluation.tables.judge_agreement import decisions, weighted_kappa, write_agreement

SETTINGS = Evaluation(bootstrap=200)


@pytest.mark.parametrize("seed", range(4))
def test_kappa_is_that_of_the_library(seed):
    generator = np.random.default_rng(seed)
    first, second = generator.integers(0, 3, 40), generator.integers(0, 3, 40)
    second[:20] = first[:20]
    weights = generator.integers(0, 3, (5, 40))
    kappas = weighted_kappa(weights.astype(float), first, second)
    for row, times in enumerate(weights):
        a, b = np.repeat(first, times), np.repeat(second, times)
        assert kappas[row] == pytest.approx(cohen_kappa_score(a, b))


def test_kappa_of_judges_that_never_vary_is_undefined():
    same = np.ones(5, np.int64)
    assert np.isnan(weighted_kappa(np.ones((1, 5)), same, same))[0]
    assert weighted_kappa(np.ones((1, 5)), same, np.array([1, 1, 1, 1, 0]))[0] == 0


def test_decisions_are_within_a_clip_and_know_ties():
    made, owners = decisions([5, 4, 4.4, 1, 1], ["a", "a", "a", "b", "b"], 0.5)
    assert made.tolist() == [1, 1, 0, 0] and owners == ["a", "a", "a", "b"]
    assert decisions([2, 1, 1], ["a", "a", "a"], 0.0)[0].tolist() == [1, 1, 0]


def candidate(number):
    clip = f"u{number // 4}"
    return {
        "candidate_id": f"tiny/{clip}#{number}", "utterance_id": clip, "corpus": "tiny", "caption": "x",
        "token_ids": [1], "sum_logprob": -1.0, "temperature": 1.0, "seed": 0, "finished": True,
    }  # fmt: skip


@pytest.fixture
def judged(tmp_path):
    """A function that writes scores of 40 candidates as one judge; and what writes the table."""
    rows = [candidate(number) for number in range(40)]
    artifacts.write(rows, tmp_path / "candidates", "candidates", "test")

    def scores(name, values):
        own = [
            {"candidate_id": row["candidate_id"], "judge": name, "rationale": ""}
            | (v if isinstance(v, dict) else dict.fromkeys(("factuality", "faithfulness", "overall"), v))
            for row, v in zip(rows, values, strict=True)
        ]
        artifacts.write(own, tmp_path / name, "judge_scores", "test")
        return tmp_path / name

    def table(**values):
        paths = {name: scores(name, own) for name, own in values.items()}
        out, markdown = tmp_path / "agreement.parquet", tmp_path / "agreement.md"
        write_agreement(SETTINGS, 0.5, tmp_path / "candidates", paths, out, markdown)
        return artifacts.read_rows(out, "judge_agreement"), markdown.read_text()

    return table


def value(rows, of):
    (row,) = [row for row in rows if row["of"] == of]
    return row


def test_like_and_unlike_judges(judged):
    generator = np.random.default_rng(0)
    strict = generator.uniform(1, 5, 40)
    rows, markdown = judged(reference=strict, local=strict**1.0, human=6 - strict)
    assert {(r["judge_a"], r["judge_b"]) for r in rows} == {
        ("reference", "local"), ("reference", "human"), ("local", "human")
    }  # fmt: skip
    same = [row for row in rows if row["judge_b"] == "local"]
    scores = ["factuality", "faithfulness", "overall"]
    accepted = ["accepted_factuality", "accepted_faithfulness"]
    assert [row["of"] for row in same] == [*scores, *accepted, *(f"preferred_{score}" for score in scores)]
    assert all(row["value"] == pytest.approx(1) for row in same)
    other = [row for row in rows if (row["judge_a"], row["judge_b"]) == ("reference", "human")]
    assert value(other, "overall")["value"] == pytest.approx(-1)
    assert value(other, "preferred_overall")["value"] < 0, "ties agree, the rest does not"
    assert value(other, "overall")["n"] == 40 and value(other, "preferred_overall")["n"] == 10 * 6
    assert "| reference, human | spearman | overall | -1.00 [-1.00, -1.00] | 40 |" in markdown


def test_chance_is_near_nothing_and_its_interval_holds_it(judged):
    generator = np.random.default_rng(1)
    rows, _ = judged(reference=generator.uniform(1, 5, 40), local=generator.uniform(1, 5, 40))
    for row in rows:
        assert abs(row["value"]) < 0.5 and row["ci_low"] < row["value"] < row["ci_high"]


def test_unscored_rows_do_not_count_and_a_constant_judge_is_undefined(judged):
    scores = [float(1 + n % 5) for n in range(40)]
    rows, markdown = judged(reference=scores, local=[3.0] * 40, human=[None] * 30 + scores[30:])
    constant = [row for row in rows if (row["judge_a"], row["judge_b"]) == ("reference", "local")]
    assert value(constant, "overall")["value"] is None and value(constant, "overall")["ci_low"] is None
    few = [row for row in rows if (row["judge_a"], row["judge_b"]) == ("reference", "human")]
    assert value(few, "overall")["n"] == 10 and value(few, "overall")["value"] == pytest.approx(1)
    assert "undefined" in markdown and "reference 40, local 40, human 10" in markdown


def test_a_judge_of_one_aspect_is_compared_on_it(judged):
    scores = [float(1 + n % 5) for n in range(40)]
    rows, markdown = judged(
        reference=scores, human=[{"factuality": v, "faithfulness": None, "overall": None} for v in scores]
    )
    assert value(rows, "factuality")["n"] == 40 and value(rows, "accepted_factuality")["value"] == pytest.approx(1)
    assert value(rows, "overall")["n"] == 0 and value(rows, "accepted_faithfulness")["value"] is None
    assert "reference 40, human 40" in markdown


def test_nothing_in_common(judged):
    rows, _ = judged(reference=[None] * 40, local=[3.0] * 40)
    assert all(row["n"] == 0 and row["value"] is None for row in rows)


def test_scores_of_other_candidates_are_refused(judged, tmp_path):
    judged(reference=[1.0] * 40, local=[2.0] * 40)
    artifacts.write([candidate(number) for number in range(39)], tmp_path / "candidates", "candidates", "test")
    paths = {name: tmp_path / name for name in ("reference", "local")}
    with pytest.raises(ArtifactError, match="other candidates"):
        write_agreement(SETTINGS, 0.5, tmp_path / "candidates", paths, tmp_path / "a", tmp_path / "b")
