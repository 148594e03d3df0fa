"""Tables that the docs quote from a run are those of docs/measured, to the last digit."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools")]
import measured  # noqa: E402
import prose  # noqa: E402

from aligncap import artifacts  # noqa: E402
from aligncap.errors import ArtifactError  # noqa: E402

PAGES = sorted((ROOT / "docs").glob("*.md"))
WITH_README = [ROOT / "README.md", *PAGES]
ZERO_SHOT = """\
| system | agreement (macro) † | coverage |
|---|---|---|
| `secap` (external, in-domain) | 0.574 [0.50, 0.64] | 0.958 |
| `kd` | 0.398 [0.34, 0.45] | – |
"""
CLAIMS = """\
| claim | agreement (macro) † | share of clues contradicted † |
|---|---|---|
| `kd - sft` | -0.015 [-0.037, +0.011] | **-0.132 [-0.189, -0.076]** |
"""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_quoted_table_is_the_measured_one(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert measured.quoted(text) == text


@pytest.mark.parametrize("page", WITH_README, ids=lambda page: page.name)
def test_a_figure_in_a_sentence_is_the_measured_one(page: Path) -> None:
    assert measured.traced(page).problems == []


def test_pages_that_say_what_came_out_trace_their_figures() -> None:
    traced = {page.name: measured.traced(page).traced for page in WITH_README}
    assert traced["README.md"] >= 4 and traced["results.md"] >= 10


def test_every_measured_file_is_quoted_and_says_which_code_made_it() -> None:
    texts = [page.read_text(encoding="utf-8") for page in WITH_README]
    quoted = {found[1] for text in texts for found in measured.QUOTED.finditer(text)}
    quoted |= {found["file"] for text in texts for found in prose.MARKED.finditer(text)}
    files = sorted((ROOT / "docs/measured").rglob("*.csv"))
    assert {path.relative_to(ROOT / "docs").as_posix() for path in files} == quoted
    assert all(path.with_name("code.json").is_file() for path in files)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A run of two systems on one corpus; of `kd` there is also one seed, which the docs do not show."""

    def row(system: str, metric: str, *figure: float) -> dict:
        own = dict(zip(("value", "ci_low", "ci_high"), figure, strict=True))
        return {"system": system, "corpus": "emosec", "metric": metric, **own, "n": 448}

    results = tmp_path / "results/people"
    table = [
        row("secap", "emotion_agreement_macro", 0.5741, 0.501, 0.639),
        row("secap", "coverage", 0.9581, 0.9, 0.99),
        row("secap", "distinct2", 0.5, 0.4, 0.6),
        row("kd", "emotion_agreement_macro", 0.398, 0.344, 0.4499),
        row("kd@1", "emotion_agreement_macro", 0.5, 0.4, 0.6),
    ]
    notes = {"marks": {"secap": "external"}, "unavailable": {}, "seeds": {"kd": [0, 1]}}
    artifacts.write(table, results / "tables/zero_shot.parquet", "table", "test", notes)
    rest = {"against": "sft", "p": 0.2, "p_holm": 0.6, "seeds": 2, "second_instrument": None, "verdict": "open"}
    found = [
        row("kd", "emotion_agreement_macro", -0.0149, -0.0371, 0.0112) | rest,
        row("kd", "contradicted_clues", -0.132, -0.189, -0.076) | rest,
    ]
    artifacts.write(found, results / "tables/claims.parquet", "claims", "test")
    artifacts.write_json({"git": {"commit": "abc", "dirty": False}}, results / "run.json")
    return results


def test_pages_get_the_tables_of_a_run(results: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    marker = "<!-- measured/people/{}_emosec.csv -->\n\n"
    old = f"# Page\n\n{marker.format('zero_shot')}| old |\n|---|\n| 0.1 |\n\nText.\n\n{marker.format('claims')}End.\n"
    (docs / "page.md").write_text(old, encoding="utf-8")
    (tmp_path / "README.md").write_text("# Page\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["measured.py", str(results), "--docs", str(docs)])
    measured.main()
    new = (docs / "page.md").read_text(encoding="utf-8")
    assert new == (
        f"# Page\n\n{marker.format('zero_shot')}{ZERO_SHOT}\nText.\n\n{marker.format('claims')}{CLAIMS}\nEnd.\n"
    )
    assert ZERO_SHOT in capsys.readouterr().out
    assert measured.quoted(new.replace("0.398", "0.399"), docs) == new, "a typed digit is found"
    assert '"commit": "abc"' in (docs / "measured/people/code.json").read_text()


def test_a_quoted_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="quoted by a page and not there"):
        measured.quoted("<!-- measured/people/zero_shot_emosec.csv -->\n\n", tmp_path)


ROW = "<!-- measured/people/claims_emosec.csv system=kd against=sft metric=emotion_agreement_macro{} -->"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"It is -0.015 [-0.037, +0.011]{ROW.format('')}.", []),
        (f"It is **-0.015\n[-0.037, +0.011]**{ROW.format('')}.", []),
        (f"It is -1.49 %{ROW.format('')}, p 0.6{ROW.format(' column=p_holm')}, of 448{ROW.format(' column=n')}.", []),
        (f"It is +0.015{ROW.format('')}.", ["+0.015 stands there, value of"]),
        (f"It is -0.015 [-0.038, +0.012]{ROW.format('')}.", ["ci_low of", "ci_high of"]),
        (f"It is so{ROW.format('')}.", ["no figure stands right before it"]),
        (f"It is -0.015 {ROW.format('')}.", ["no figure stands right before it"]),
        (f"It is 0.2{ROW.format(' column=q')}.", ["no column q; it has system, against"]),
        (f"It is 0.2{ROW.format('').replace('=kd', '=mine')}.", ["0 rows have these cells, one is needed"]),
        (
            f"It is 0.2{ROW.format('').replace(' against=sft', '').replace(' metric=emotion_agreement_macro', '')}.",
            ["2 r"],
        ),
        (f"It is 0.2{ROW.format('').replace('people', 'nobody')}.", ["No such file"]),
    ],
)
def test_a_figure_that_is_not_in_its_file_is_named(results: Path, tmp_path: Path, text: str, told: list[str]) -> None:
    measured.write_copies(results, tmp_path / "measured/people")
    problems = prose.trace(f"# Page\n\n{text}", "page.md", tmp_path).problems
    assert len(problems) == len(told)
    assert all(
        problem.startswith("page.md: line ") and part in problem for problem, part in zip(problems, told, strict=True)
    )


def test_figures_that_no_mark_traces_are_counted() -> None:
    text = "Of 0.41 and -0.027\n[-0.04, +0.01], `0.25` by Python 3.11 in 17 minutes, 0.5."
    assert prose.trace(text, "page.md", ROOT / "docs").untraced == 2


def test_the_tool_fails_where_a_sentence_says_something_else(
    results: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / "README.md"
    page.write_text(f"It is -0.016{ROW.format('')}, and 0.26 before.\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["measured.py", str(results), "--docs", str(tmp_path / "docs")])
    with pytest.raises(
        ArtifactError, match=r"README.md: line 1: -0.016 stands there, .* is -0.015; correct the sentence"
    ):
        measured.main()
    told = "README.md: 1 figures outside quoted tables are traced to a file, 1 are not"
    assert told in capsys.readouterr().err and "-0.016" in page.read_text(encoding="utf-8")
