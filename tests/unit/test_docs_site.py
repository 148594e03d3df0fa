"""The site of the docs: pages made of the code are whole, and no page asks another server for anything."""

import re
import sys
from pathlib import Path

import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools")]
import reference_pages  # noqa: E402

from aligncap.artifacts import SCHEMAS  # noqa: E402
from aligncap.serving.cli import COMMANDS  # noqa: E402


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return reference_pages.pages()


def keys(raw: dict, path: str = "") -> set[str]:
    """Dotted sections of config.yaml, entries of named ones as {name}."""
    found = set()
    for key, value in raw.items():
        if isinstance(value, dict) and key not in ("overrides", "captions", "request", "columns"):
            named = "{name}" if path in ("corpora", "systems") else key
            found |= {f"{path}.{named}".lstrip(".")} | keys(value, f"{path}.{named}".lstrip("."))
    return found


def test_the_configuration_page_has_every_section_and_key(pages: dict[str, str]) -> None:
    page = pages["reference/config.md"]
    raw = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    named = set(re.findall(r"\[`([\w.{}]+)`\]\(#", page)) | set(re.findall(r"^## `(.+)`$", page, re.MULTILINE))
    alike = {f"models.{name}" for name in ("speech_encoder", "asr", "sentence_encoder", "judge")}
    alike |= {"tables.table2", "tables.table3", "tables.table4", "preference.pairs.faithfulness"}  # shown once
    assert keys(raw) - {"corpora", "systems"} - alike <= named
    assert "| `beta` | `float`, > 0 | `0.1` | strength of the preference loss: beta of dpo and kto, " in page
    assert "| `steps` | `int`, ≥ 0 | `240` | number of training steps |" in page


def test_the_commands_page_has_every_command_with_its_examples(pages: dict[str, str]) -> None:
    page = pages["reference/commands.md"]
    for command in COMMANDS:
        assert f"\n## {command.__name__}\n" in page and f"aligncap {command.__name__} " in page
    assert "| `--batch-size` | `16` | Clips that the LLM captions at once. |" in page


def test_the_artifacts_page_has_every_column(pages: dict[str, str]) -> None:
    page = pages["reference/artifacts.md"]
    for name, schema in SCHEMAS.items():
        section = page.split(f"\n## `{name}`\n", 1)[1].split("\n## ", 1)[0]
        assert all(f"| `{column}` |" in section for column in schema.names)
    assert "| `clues.kind` | string |" in page


def test_every_module_has_a_place(pages: dict[str, str]) -> None:
    named = {name for page in pages.values() for name in re.findall(r"^::: (\S+)$", page, re.MULTILINE)}
    modules = (path.relative_to(ROOT).with_suffix("") for path in (ROOT / "aligncap").rglob("*.py"))
    assert named == {".".join(path.parts).removesuffix(".__init__") for path in modules} - {"aligncap"}


def test_a_page_asks_no_other_server(tmp_path: Path) -> None:
    """Without the slow docstring pages, which load what the others load; `make docs` builds and checks all of them."""
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path / "site"), plugins=["search"])
    build(config)
    built = sorted((tmp_path / "site").rglob("*.html"))
    assert {"index.html", "tutorial.html", "config.html"} <= {path.name for path in built}
    for path in built:
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)\b[^>]*?\bsrc=[\"']?([^\"' >]+)", text)
        loaded += re.findall(r"<link\b(?![^>]*rel=[\"']?canonical)[^>]*?\bhref=[\"']?([^\"' >]+)", text)
        assert not [url for url in loaded if re.match(r"(https?:)?//", url)], path.name
