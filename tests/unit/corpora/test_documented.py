"""docs/corpora.md names what the configuration takes."""

import re
from pathlib import Path
from typing import get_args

import yaml

from aligncap.config import Corpus
from aligncap.config.corpora import AdapterName
from aligncap.corpora.registry import licence_of

TEXT = (Path(__file__).resolve().parents[3] / "docs/corpora.md").read_text(encoding="utf-8")


def test_the_table_of_corpora_names_every_adapter() -> None:
    table = TEXT.split("## Sources and licences")[1].split("\n### ")[0]
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", table, re.MULTILINE)
    assert {name for name, _ in rows} == set(get_args(AdapterName)) and len(rows) == len(get_args(AdapterName))
    assert all(len(rest.split("|")) == 5 and all(map(str.strip, rest.split("|"))) for _, rest in rows)


def test_the_report_knows_the_licence_of_every_published_corpus() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|", TEXT, re.MULTILINE))
    for adapter, licence in rows.items():
        named = licence_of("mine", adapter)
        assert ("not stated" in named) is (licence.strip() == "its own"), adapter
        assert ("none found: ask" in named) is ("none found: ask" in licence), adapter
        assert all(public in named for public in re.findall(r"CC BY[\w-]*|ODbL", licence)), adapter


def test_the_examples_of_archives_are_valid() -> None:
    section = TEXT.split("\n## Data sets of Hugging Face")[1]
    block = re.search(r"^```yaml\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert block is not None
    corpora = [Corpus(**settings) for settings in yaml.safe_load(block[1])["corpora"].values()]
    assert [corpus.adapter for corpus in corpora] == ["huggingface", "webdataset"]
