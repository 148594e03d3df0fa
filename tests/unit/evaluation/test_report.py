"""The report page, from made-up artifacts."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from made_up import use_word_encoder
from made_up_report import made_up_inputs

from aligncap.config import Report
from aligncap.errors import ArtifactError
from aligncap.evaluation.report.examples import pick_examples
from aligncap.evaluation.report.inputs import ReportInputs
from aligncap.evaluation.report.page import write_report


class Page(HTMLParser):
    """Collects tags, links and ids, and checks that tags are closed."""

    VOID = {
        "meta",
        "br",
        "link",
        "path",
        "use",
        "rect",
        "image",
        "img",
        "input",
        "wbr",
    }  # some are drawn

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.open, self.text, self.headings = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values[name] for name in ("href", "src", "xlink:href") if values.get(name)]
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        assert tag != "img" or values["alt"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open and self.open[-1] == tag, (tag, self.open[-3:])
            self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    use_word_encoder(monkeypatch)
    return made_up_inputs(tmp_path)


@pytest.mark.java
def test_page_holds_everything_and_loads_nothing(tmp_path, inputs):
    write_report(Report(examples=5), inputs, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert all(below <= above + 1 for above, below in zip(page.headings, page.headings[1:], strict=False))
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids, link
        elif not link.startswith("data:"):
            assert (tmp_path / unquote(link)).exists(), link
    assert not re.search(r"<script[^>]* src|url\((?!#)|@import|https?://(?!www\.w3\.org)", text)
    words = " ".join(" ".join(page.text).split())
    for expected in (
        "Synthetic speech",
        "made-up",
        "transductive",
        "0123abc",
        "emotion: sad",
        "Table 3: alignment methods and preference losses",
        "Figure 2: alignment methods",
        "aligncap - sft",
        "kd - sft",
        "factuality halluc. at equal coverage",
        "free to pass on",
        "by rule zero_shot_table",
        "by rule claims_table",
        "Captions and the predicted emotion tag",
        "by rule tag_reliance",
        "Assertions, each checked by itself",
        "by rule assertions_table",
        "No competitors",
    ):
        assert expected in words, expected
    assert text.count('class="example"') == 5
    assert text.count('src="data:audio/mpeg;base64,') == text.count('src="data:image/webp;base64,') == 5
    assert 'href="evaluation' in text and 'data-rows="evaluation/kd/demo.parquet"' in text
    assert "<b>angry</b>" not in text and "&lt;b&gt;angry&lt;/b&gt;" in text
    assert "prefers-color-scheme: dark" in text


@pytest.mark.java
def test_equal_inputs_give_an_equal_page_and_optional_parts_may_be_absent(tmp_path, inputs):
    write_report(Report(examples=3), inputs, tmp_path / "1.html")
    write_report(Report(examples=3), inputs, tmp_path / "2.html")
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()
    bare = ReportInputs(inputs.table, inputs.snapshot, inputs.evaluations, {}, {}, {}, {})
    write_report(Report(), bare, tmp_path / "bare.html")
    text = (tmp_path / "bare.html").read_text()
    assert (
        'id="table3"' not in text
        and 'id="training"' not in text
        and 'id="claims"' not in text
        and 'id="reliance"' not in text
        and 'id="assertions"' not in text
        and 'id="examples"' not in text
        and "Synthetic speech" not in text
    )
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ArtifactError, match="snapshot"):
        write_report(Report(), inputs, tmp_path / "3.html")


@pytest.mark.java
def test_recordings_stay_out_when_asked_and_one_that_is_gone_is_no_error(tmp_path, inputs, caplog):
    write_report(Report(examples=2, audio=False), inputs, tmp_path / "quiet.html")
    text = (tmp_path / "quiet.html").read_text()
    assert "data:audio" not in text and "data:image" not in text and "No recordings of" in text
    assert "Licence: free to pass on" in text
    (tmp_path / "tone.wav").unlink()
    stated = dataclasses.replace(inputs, licences={"demo": "ask Ada first"})
    write_report(Report(examples=2), stated, tmp_path / "gone.html")
    text = (tmp_path / "gone.html").read_text()
    assert "data:audio" not in text and "Licence: ask Ada first" in text
    assert "goes without a recording" in caplog.text


@pytest.mark.java
def test_chance_is_set_apart_and_never_best(tmp_path, inputs):
    write_report(Report(examples=1), inputs, tmp_path / "report.html")
    table = re.search(r'<section id="table1">.*?</table>', (tmp_path / "report.html").read_text(), re.DOTALL)[0]
    rivals, apart = table.split('<tbody class="apart">')
    assert 'class="best"' in rivals and 'class="best"' not in apart
    assert re.findall(r'<th scope="row">(\w+)', apart) == ["chance"]
    assert "chance" not in re.findall(r'<th scope="row">(\w+)', rivals)


@pytest.mark.java
def test_a_number_knows_the_tracked_run_of_its_file(tmp_path, inputs, monkeypatch):
    from aligncap.evaluation.report import page
    from aligncap.tracking.store import TrackedRun

    run = TrackedRun("zero_shot_table", "0123", "http://127.0.0.1:5000/#/experiments/1/runs?x=1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(page, "runs_by_file", lambda: {str(Path("tables/zero_shot.parquet")): run})
    write_report(Report(examples=1), inputs, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert 'MLflow run <a href="http://127.0.0.1:5000/#/experiments/1/runs?x=1">zero_shot_table</a>' in text


def test_examples_are_taken_evenly():
    labels = {f"u{n}": ("sad" if n < 90 else "angry") for n in range(100)} | {"x": None}
    picked = pick_examples(labels, 7)
    assert len(set(picked)) == 7 and {labels[name] for name in picked} == {"sad", "angry", None}
    assert pick_examples({"a": "sad"}, 5) == ["a"] and pick_examples({}, 5) == []
