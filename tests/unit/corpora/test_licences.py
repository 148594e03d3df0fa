"""What the cards say of a corpus is what the documentation says."""

from pathlib import Path

from aligncap.corpora.licences import LICENCES, UNKNOWN, licence_of

DOCS = Path(__file__).resolve().parents[3] / "docs" / "corpora.md"


def test_the_terms_are_those_of_the_documentation():
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    for adapter, licence in LICENCES.items():
        (line,) = [line for line in lines if line.startswith(f"| `{adapter}` |")]
        if adapter != "synthetic":
            assert f"| {licence.terms} |" in line


def test_a_table_of_ones_own_has_terms_of_its_own():
    assert licence_of("manifest") is UNKNOWN
