"""docs/corpora.md names what the configuration takes."""

import re
from pathlib import Path
from typing import get_args

import yaml

from aligncap.config import Corpus
from aligncap.config.corpora import AdapterName

TEXT = (Path(__file__).resolve().parents[3] / "docs/corpora.md").read_text(encoding="utf-8")


def test_the_table_of_corpora_names_every_adapter() -> None:
    table = TEXT.split("## Sources and licences")[1].split("\n### ")[0]
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", table, re.MULTILINE)
    assert {name for name, _ in rows} == set(get_args(AdapterName)) and len(rows) == len(get_args(AdapterName))
    assert all(len(rest.split("|")) == 5 and all(map(str.strip, rest.split("|"))) for _, rest in rows)


def test_the_examples_of_archives_are_valid() -> None:
    section = TEXT.split("\n## Data sets of Hugging Face")[1]
    block = re.search(r"^```yaml\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert block is not None
    corpora = [Corpus(**settings) for settings in yaml.safe_load(block[1])["corpora"].values()]
    assert [corpus.adapter for corpus in corpora] == ["huggingface", "webdataset"]
