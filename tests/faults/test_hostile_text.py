"""Names, captions and answers that would be code, lines of a log or formulas elsewhere stay text."""

import csv
import io
import json
import logging
import re
from pathlib import Path

import pytest
from markupsafe import escape

from aligncap.config import AlignCapConfig, validated
from aligncap.corpora.base import BadRow, read_table
from aligncap.errors import AudioError, ConfigError, CorpusError, printable
from aligncap.evaluation.report.page import environment
from aligncap.evaluation.tables.render import as_csv
from aligncap.job import log_to
from aligncap.provenance import write_snapshot
from aligncap.serving.sheets import COLUMNS, format_csv, read_csv
from aligncap.speech.audio import decode

LINES = {
    "a line of a log": ("a\n12:00:00 ERROR aligncap: all is lost", "a 12:00:00 ERROR aligncap: all is lost"),
    "a carriage return": ("harmful\rharmless", "harmful harmless"),
    "a colour": ("\x1b[31mred", "\\x1b[31mred"),
    "a title of the window": ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
    "a clear screen": ("\x1bc", "\\x1bc"),
    "a backspace": ("no\x08\x08yes", "no\\x08\\x08yes"),
    "a control of eight bits": ("\x9b2J", "\\x9b2J"),
    "a line separator": ("a\u2028b", "a b"),
    "a next line": ("a\x85b", "a b"),
    "a form feed": ("a\x0cb", "a b"),
    "text from right to left": ("gpj\u202egnp.wav", "gpj\\u202egnp.wav"),
    "an isolated direction": ("\u2066x\u2069", "\\u2066x\\u2069"),
    "bytes that are no UTF-8": ("caf\udce9.wav", "caf\\udce9.wav"),
    "a zero": ("a\0b", "a\\x00b"),
    "letters of the world": ("Grüße 你好 سلام 😀 a\u200db", "Grüße 你好 سلام 😀 a\u200db"),
}


@pytest.mark.parametrize("kind", LINES)
def test_a_message_is_one_line_that_commands_nothing(kind: str) -> None:
    given, told = LINES[kind]
    assert printable(given) == str(AudioError(given)) == BadRow("", "", given).reason == told


@pytest.mark.parametrize("kind", LINES)
def test_a_log_of_a_job_has_one_line_a_message(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given, told = LINES[kind]
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    log_to(tmp_path / "job.log")
    try:
        logging.getLogger("aligncap.test").warning("%s: skipped", given)
        raise ValueError(given)
    except ValueError:
        logging.getLogger("aligncap.test").exception("failed")
    finally:
        logging.captureWarnings(False)
        for handler in logging.getLogger().handlers:
            handler.close()
    written = (tmp_path / "job.log").read_text(encoding="utf-8")
    first, second, *trace = written.split("\n")
    assert first.endswith(f"aligncap.test: {told}: skipped") and second.endswith("aligncap.test: failed")
    assert trace[0] == "Traceback (most recent call last):"


@pytest.mark.parametrize("name", ["a\nb.wav", "\x1b[2Jx.wav", "a\u202egpj.wav", "b\rc.wav"])
def test_a_file_name_is_told_as_text(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no sound, but some words")
    with pytest.raises(AudioError, match="not audio") as caught:
        decode(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path}/{printable(name)}: ")


@pytest.mark.parametrize("name", ["m\x1b[31m.xlsx", "m\n2.xlsx"])
def test_the_name_of_a_table_is_told_as_text(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04")
    with pytest.raises(CorpusError, match="extension") as caught:
        read_table(tmp_path / name)
    assert "\x1b" not in str(caught.value) and "\n" not in str(caught.value)


HTML = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</title><script>1</script>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "<!--",
    "&lt;b&gt;",
]


@pytest.mark.parametrize("said", HTML)
def test_html_in_a_report_is_text(said: str) -> None:
    """Captions, transcripts, ids and names go through this environment; tests of the report itself look at a page."""
    page = environment().from_string("<td title='{{ x }}'>{{ x }}</td><a href=\"#{{ x }}\">{{ x }}</a>").render(x=said)
    assert page.count(str(escape(said))) == 4
    assert set(re.findall(r"<(\w+)", page)) == {"td", "a"} and "49" not in page


def test_a_message_of_a_million_letters_keeps_its_beginning_and_its_end() -> None:
    told = str(CorpusError(f"m.csv: no column; it has {'x' * 1_000_000}; name the column"))
    assert told.startswith("m.csv: no column; it has xxx") and told.endswith("; name the column") and len(told) < 2_000


FORMULAS = [
    "=1+1",
    '=HYPERLINK("http://evil.example","x")',
    "=cmd|' /C calc'!A0",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",
    "＠x",
    "'=1",
    "''=1",
    "%0A-3+3",
    ";=1",
    '"=1',
]


@pytest.mark.parametrize("said", FORMULAS)
def test_no_cell_of_captions_is_a_formula_and_each_is_read_back(said: str) -> None:
    row = {name: "" for name in COLUMNS} | {"path": said, "caption": said, "transcript": said, "model": "m"}
    row |= {"clues": [], "finished": True, "duration_s": 1.0, "familiarity": 0.5, "warnings": [f"{said}x"]}
    text = format_csv([row])
    (cells,) = csv.DictReader(io.StringIO(text, newline=""))
    assert not any(cell[:1] in tuple("=+-@\t\r\n＝＋－＠") and cell for cell in cells.values())
    (found,) = read_csv(io.StringIO(text, newline=""))
    assert found["caption"] == found["path"] == said and found["warnings"] == [f"{said}x"]


@pytest.mark.parametrize(
    "name", ["=1", "+a", "-a", "@a", "a,b", "<b>", "a/../b", "a\nb", "a b", "", "ä", "a" + "\x1b[1m"]
)
@pytest.mark.parametrize("section", ["systems", "corpora"])
def test_names_of_systems_and_corpora_are_no_formula_no_html_and_no_path(section: str, name: str) -> None:
    """Tables as CSV, Markdown and LaTeX, folders and MLflow runs are named by them."""
    own = {"stage": "alignment"} if section == "systems" else {"adapter": "manifest", "role": "test", "root": "x"}
    with pytest.raises(ConfigError) as caught:
        validated(AlignCapConfig, {"experiment": "e", section: {name: own}}, "mine.yaml")
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)


def test_a_table_as_csv_quotes_its_texts() -> None:
    rows = [{"claim": 'a, "b"\nc', "x": 1}]
    names = list(csv.DictReader(io.StringIO(as_csv([], "claims"))).fieldnames or [])
    (found,) = csv.DictReader(io.StringIO(as_csv([{names[0]: rows[0]["claim"]}], "claims"), newline=""))
    assert found[names[0]] == rows[0]["claim"]


KEY = "sk-0123456789abcdef"


def test_a_key_in_the_environment_is_in_no_provenance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("HF_TOKEN", KEY)
    judge = {"name": "openai", "openai": {"model": "m", "key_variable": "OPENAI_API_KEY"}}
    config = {"tracking": {"uri": f"https://u:{KEY}@host"}, "preference": {"judge": judge}}
    write_snapshot(config, tmp_path / "run.json")
    text = (tmp_path / "run.json").read_text(encoding="utf-8")
    assert KEY not in text and "OPENAI_API_KEY" in text and "tracking" not in json.loads(text)["config"]


@pytest.mark.parametrize(
    "section",
    [
        {"base_url": f"https://u:{KEY}@host/v1"},
        {"base_url": f"https://host/v1?key={KEY}"},
        {"base_url": f"https://host/v1#{KEY}"},
        {"base_url": KEY},
        {"key_variable": KEY},
        {"key_variable": f"Bearer {KEY}"},
        {"api_key": KEY},
        {"key": KEY},
    ],
)
def test_a_key_in_a_config_is_refused(section: dict) -> None:
    given = {"experiment": "e", "preference": {"judge": {"openai": section}}}
    with pytest.raises(ConfigError) as caught:
        validated(AlignCapConfig, given, "mine.yaml")
    assert KEY not in str(caught.value)
