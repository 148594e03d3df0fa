"""The hand-written cases of tests/data/hallucinations.yaml, one test each, and that they cover what they should."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from aligncap.clues.hallucination_checks import FACTUALITY, FAITHFULNESS, Truth
from aligncap.evaluation.hallucination import examine

FILE = Path(__file__).resolve().parents[2] / "data" / "hallucinations.yaml"
CASES = yaml.safe_load(FILE.read_text(encoding="utf-8"))


def _truth(case: dict) -> Truth:
    prosody = {"pitch_hz": 150.0, **case.get("prosody", {})}
    return Truth.from_rows(case.get("label"), prosody, case.get("intensity"))


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case):
    verdict = examine(
        case["caption"],
        _truth(case),
        case.get("transcript", ""),
        case.get("references", []),
        case.get("finished", True),
    )
    found = [flag.split(":")[0] for flag in verdict.flags]
    assert sorted(set(found)) == sorted(case["flags"]), f"{case['why']}: {verdict.flags}"
    unfaithful = float(any(kind in FAITHFULNESS for kind in case["flags"]))
    assert verdict.values["faithfulness_hallucination"] == unfaithful
    if _truth(case).comparable:
        wrong = float(any(kind in FACTUALITY for kind in case["flags"]))
        assert verdict.values["factuality_hallucination"] == wrong


def test_every_kind_has_cases_of_both_sorts():
    kinds = Counter(kind for case in CASES for kind in case["flags"])
    assert len(CASES) >= 60 and len({case["id"] for case in CASES}) == len(CASES)
    assert set(kinds) == {*FACTUALITY, *FAITHFULNESS} and min(kinds.values()) >= 3
    assert sum(not case["flags"] for case in CASES) >= 40
    assert all(case["why"] for case in CASES)
