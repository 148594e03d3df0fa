"""The tables of a finished run that the docs quote: as small CSV files in docs/measured, and from these into the pages.

    python tools/measured.py results/people

copies what the docs show of the zero-shot and the claims table to docs/measured/people/zero_shot_emosec.csv and
claims_emosec.csv, one pair of files a test corpus, with the version of the code in code.json; prints them as Markdown;
and puts each into the pages, in place of the table below the line

    <!-- measured/people/zero_shot_emosec.csv -->

with an empty line between (a new quotation is that line, an empty line, and the next run of this tool). Without a
folder it only writes the pages again. tests/unit/test_docs_measured.py compares pages and files, so that no figure of
such a table is typed: the page names its file, and code.json the commit that made it.

Figures in sentences are compared, too, and none is written (tools/prose.py): a line names each that differs, and for
each page where some are traced to a file, a line says how many are and how many are not.
"""

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import prose

from aligncap import artifacts
from aligncap.errors import AlignCapError, ArtifactError
from aligncap.evaluation.tables import claims
from aligncap.evaluation.tables.columns import COLUMNS, mark_of
from aligncap.evaluation.wording import bounds, markdown_table, worded
from aligncap.systems import plain_name

DOCS = Path(__file__).resolve().parents[1] / "docs"
QUOTED = re.compile(r"<!-- (measured/\S+\.csv) -->\n\n((?:\|.*\n)*)")
SHOWN = {  # metric of the zero-shot table -> whether its interval is shown
    "emotion_agreement_macro": True,
    "emotion_agreement_macro_2": True,
    "emotion_agreement": True,
    "coverage": False,
    "factuality_hallucination": True,
    "factuality_hallucination_2": True,
    "asserted_clues": False,
    "contradicted_clues": False,
    "similarity": True,
    "collapse": False,
}
REMARKS = {"secap": "external, in-domain"}  # it was trained on EMOSEC
COPIED = {  # table -> columns of its CSV file
    "zero_shot": ("system", "mark", "metric", "value", "ci_low", "ci_high", "n"),
    "claims": ("system", "against", "metric", "value", "ci_low", "ci_high", "p", "p_holm", "seeds", "n", "verdict"),
}
Row = dict[str, Any]


def copied(results: Path) -> Iterator[tuple[str, str, list[Row]]]:
    """Yield table, corpus, and the rows that the docs quote of a finished run."""
    path = results / "tables/zero_shot.parquet"
    rows, notes = artifacts.read_rows(path, "table"), artifacts.read_notes(path, "table")
    means = [row for row in rows if row["system"] == plain_name(row["system"]) and row["metric"] in SHOWN]
    plain = notes | {"seeds": {}}  # the text says how many seeds there are
    marked = [row | {"mark": REMARKS.get(row["system"], mark_of(plain, row["system"]))} for row in means]
    differences = artifacts.read_rows(results / "tables/claims.parquet", "claims")
    for table, own in (("zero_shot", marked), ("claims", differences)):
        for corpus in dict.fromkeys(row["corpus"] for row in own):
            yield table, corpus, [row for row in own if row["corpus"] == corpus]


def write_copies(results: Path, folder: Path) -> list[Path]:
    """Write the CSV files of a run and code.json into a folder; the files."""
    git = json.loads((results / "run.json").read_text(encoding="utf-8"))["git"]
    artifacts.write_json(git, folder / "code.json")
    if git["dirty"]:
        print(f"{results}: made by uncommitted changes of {git['commit']}, as {folder.name}/code.json says")
    written = []
    for table, corpus, rows in copied(results):
        path = folder / f"{table}_{corpus}.csv"
        with artifacts.atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, COPIED[table], extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        written.append(path)
    return written


def markdown(path: Path) -> str:
    """A CSV file of docs/measured as the Markdown table that the pages show."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [{key: _number(value) for key, value in row.items()} for row in csv.DictReader(stream)]
    lines = _zero_shot(rows) if path.name.startswith("zero_shot") else _claims(rows)
    return "\n".join(lines)


def _number(text: str) -> float | str | None:
    try:
        return float(text) if text else None
    except ValueError:
        return text


def _zero_shot(rows: list[Row]) -> list[str]:
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        mark = f" ({row['mark']})" if row["mark"] else ""
        found.setdefault(f"`{row['system']}`{mark}", {})[row["metric"]] = row
    shown = [metric for metric in SHOWN if any(metric in own for own in found.values())]
    body = ([name, *(_figure(own.get(metric), metric) for metric in shown)] for name, own in found.items())
    return markdown_table("l" * (1 + len(shown)), ["system", *map(_heading, shown)], body)


def _figure(row: Row | None, metric: str) -> str:
    return worded(row, 3) if row is None or SHOWN[metric] else f"{row['value']:.3f}"


def _heading(metric: str) -> str:
    return claims.SHOWN.get(metric, COLUMNS[metric].heading) + (" †" if COLUMNS[metric].rewarded else "")


def _claims(rows: list[Row]) -> list[str]:
    """One row a claim; bold where the interval excludes zero."""
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        text = f"{row['value']:+.3f} {bounds(row, 3, '+')}"
        sure = row["ci_low"] > 0 or row["ci_high"] < 0
        found.setdefault(f"`{row['system']} - {row['against']}`", {})[row["metric"]] = f"**{text}**" if sure else text
    shown = [metric for metric in claims.SHOWN if any(metric in own for own in found.values())]
    body = ([name, *(own.get(metric, "–") for metric in shown)] for name, own in found.items())
    return markdown_table("l" * (1 + len(shown)), ["claim", *map(_heading, shown)], body)


def quoted(page: str, docs: Path = DOCS) -> str:
    """The text of a page with each quoted table as its CSV file has it.

    Raises:
        ArtifactError: A page quotes a file that is not there.
    """

    def table(found: re.Match[str]) -> str:
        path = docs / found[1]
        if not path.is_file():
            raise ArtifactError(f"{path}: quoted by a page and not there; make it with tools/measured.py results/…")
        behind = "" if found[2] or found.end() == len(page) else "\n"  # a new table is not yet parted from the text
        return f"<!-- {found[1]} -->\n\n{markdown(path)}{behind}"

    return QUOTED.sub(table, page)


def traced(page: Path, docs: Path = DOCS) -> prose.Traced:
    """Compare the figures in a page's sentences with their files; those of its quoted tables are written, not typed."""
    sentences = QUOTED.sub(lambda table: "\n" * table[0].count("\n"), page.read_text(encoding="utf-8"))
    return prose.trace(sentences, page.name, docs)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="?", type=Path, help="results/EXPERIMENT of a finished run")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the pages")
    given = parser.parse_args()
    if given.results:
        for path in write_copies(given.results, given.docs / "measured" / given.results.name):
            sys.stdout.write(f"<!-- {path.relative_to(given.docs).as_posix()} -->\n\n{markdown(path)}\n")
    pages = sorted(given.docs.glob("*.md"))
    for page in pages:
        old = page.read_text(encoding="utf-8")
        if (new := quoted(old, given.docs)) != old:
            artifacts.write_text(new, page)
            print(f"{page.name}: written anew", file=sys.stderr)
    found = {page.name: traced(page, given.docs) for page in (given.docs.parent / "README.md", *pages)}
    for name, own in found.items():
        if own.traced:
            told = f"{own.traced} figures outside quoted tables are traced to a file, {own.untraced} are not"
            print(f"{name}: {told}", file=sys.stderr)
    if problems := [problem for own in found.values() for problem in own.problems]:
        raise ArtifactError("\n".join(problems))


if __name__ == "__main__":
    try:
        main()
    except AlignCapError as error:
        sys.exit(f"measured: {error}")
