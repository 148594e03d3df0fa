"""The report, clicked through as its reader would: from disk, with mouse and keyboard, on a phone, in the dark."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "unit" / "evaluation"))
from made_up import use_word_encoder  # noqa: E402
from made_up_report import made_up_inputs  # noqa: E402

from aligncap.config import Report  # noqa: E402
from aligncap.evaluation.report import page as report_page  # noqa: E402
from aligncap.evaluation.report.page import write_report  # noqa: E402
from aligncap.tracking.store import TrackedRun  # noqa: E402

pytestmark = [pytest.mark.web, pytest.mark.java]
RUN = "http://127.0.0.1:5000/#/experiments/1/runs?searchFilter=0123"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    """The page of a made-up experiment, as a file."""
    folder = tmp_path_factory.mktemp("experiment")
    with pytest.MonkeyPatch.context() as patch:
        use_word_encoder(patch)
        patch.chdir(folder)
        runs = {"tables/zero_shot.parquet": TrackedRun("zero_shot_table", "0123", RUN)}
        patch.setattr(report_page, "runs_by_file", lambda: runs)
        write_report(Report(examples=8), made_up_inputs(folder), folder / "report.html")
    return (folder / "report.html").as_uri()


def systems(page, body: int = 0) -> list[str]:
    """Rows of table 1, as they stand."""
    rows = page.locator("#table1 table").first.locator("tbody").nth(body).locator("tr:not(.title) th")
    return [text.split("\n")[0].removesuffix("transductive") for text in rows.all_text_contents()]


def test_a_heading_sorts_with_mouse_and_keyboard_and_chance_stays_below(open_page, address):
    page = open_page(address)
    before = systems(page)
    column = page.locator("#table1 thead th").nth(1)
    column.get_by_role("button").click()
    assert column.get_attribute("aria-sort") == "descending"
    best_first = systems(page)
    values = [float(t) for t in page.locator("#table1 table").first.locator("tbody >> nth=0").locator(
        "tr td:nth-child(2) a.n").all_text_contents()]  # fmt: skip
    assert values == sorted(values, reverse=True) and sorted(best_first) == sorted(before)
    page.keyboard.press("Enter")
    assert column.get_attribute("aria-sort") == "ascending"
    values_up = page.locator("#table1 table").first.locator("tbody >> nth=0").locator("tr td:nth-child(2) a.n")
    assert [float(text) for text in values_up.all_text_contents()] == sorted(values)
    assert systems(page, body=1) == ["chance"]


def test_a_number_tells_its_file_rule_and_run_and_arrow_keys_go_on(open_page, address):
    page = open_page(address)
    number = page.locator("#table1 tbody a.n").first
    number.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Where this number is from")
    assert dialog.is_visible()
    text = dialog.inner_text()
    for expected in ("tag_template", "tables/zero_shot.parquet", "zero_shot_table", "evaluation/tag_template/demo"):
        assert expected in text, text
    file = dialog.get_by_role("link", name="tables/zero_shot.parquet")
    assert file.evaluate("link => link.href") == address.replace("report.html", "tables/zero_shot.parquet")
    assert dialog.get_by_role("link", name="zero_shot_table").get_attribute("href") == RUN
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement.matches('a.n')")


def test_filters_show_one_emotion_and_where_systems_disagree(open_page, address):
    page = open_page(address)
    shown = page.locator(".example:visible")
    status = page.locator(".filters output")
    assert shown.count() == 8 and status.inner_text() == "8 of 8 clips"
    page.get_by_role("combobox", name="Emotion").select_option("sad")
    assert 0 < shown.count() < 8 and set(shown.evaluate_all("a => a.map(b => b.dataset.emotion)")) == {"sad"}
    page.get_by_role("combobox", name="Emotion").select_option("")
    page.get_by_role("checkbox", name="systems disagree").check()
    assert 0 < shown.count() < 8 and status.inner_text() == f"{shown.count()} of 8 clips"
    page.get_by_role("combobox", name="Corpus").select_option("demo")
    assert shown.count() > 0


def test_recordings_play_spectrograms_show_and_wrong_words_are_marked(open_page, address):
    page = open_page(address)
    audio = page.locator("audio").first
    seconds = audio.evaluate(
        "a => new Promise(done => a.readyState ? done(a.duration) : a.onloadedmetadata = () => done(a.duration))"
    )
    assert 1.4 < seconds < 1.7
    audio.evaluate("a => { a.muted = true; return a.play(); }")
    page.wait_for_function("document.querySelector('audio').currentTime > 0.1")
    assert page.locator(".sound img").first.evaluate("i => i.naturalWidth") > 50
    invented = page.locator("mark.faithfulness", has_text="because of the war").first
    assert "event: because of the war" in invented.get_attribute("title")
    assert page.locator(".systems mark.factuality").count() > 0


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_a_phone_scrolls_down_only_and_text_stands_out(open_page, address, colours):
    page = open_page(address, color_scheme=colours, **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    luminance = """(selector) => {
        const own = document.querySelector(selector);
        const parse = (text) => text.match(/[\\d.]+/g).map(Number);
        const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        const light = (rgb) => [0.2126, 0.7152, 0.0722].reduce((sum, part, i) => sum + part * linear(rgb[i] / 255), 0);
        let ground = own;
        while (parse(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
        const a = light(parse(getComputedStyle(own).color));
        const b = light(parse(getComputedStyle(ground).backgroundColor));
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    }"""
    for selector in ("body", ".soft", "td small", "nav a", ".chip.bad", ".chip.good", "mark.factuality", ".source"):
        assert page.evaluate(luminance, selector) >= 4.5, selector


def test_without_a_script_everything_is_still_there(open_page, address):
    page = open_page(address, java_script_enabled=False)
    assert page.locator(".example:visible").count() == 8
    assert not page.locator(".filters").is_visible() and not page.locator("dialog").is_visible()
    assert page.get_by_role("link", name="tables/zero_shot.parquet").first.is_visible()
    assert page.locator("#claims table").is_visible()


def test_a_screen_reader_finds_names_for_tables_pictures_and_controls(open_page, address):
    page = open_page(address)
    unnamed = page.evaluate("""() => [
        ...[...document.querySelectorAll("img")].filter((own) => !own.alt),
        ...[...document.querySelectorAll("audio, [role=region], [role=img]")].filter((own) => !own.ariaLabel),
        ...[...document.querySelectorAll("table")].filter((own) => !own.caption),
        ...[...document.querySelectorAll("select, input")].filter((own) => !own.labels.length),
    ].map((own) => own.outerHTML.slice(0, 120))""")
    assert unnamed == []
