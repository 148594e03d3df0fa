"""The caption page in chromium: what somebody who uses it would do."""

import json
import re

import pytest
from accessibility import check_accessible
from page_server import running
from tiny_captioner import OTHER, SAYS

from aligncap.serving.web.captions import Limits, caption_app

pytestmark = pytest.mark.web
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright not installed; run `make setup`")


@pytest.fixture(scope="module")
def address(captioners):
    with running(caption_app(captioners, Limits(megabytes=0.5, seconds=10))) as url:
        yield url


def captions(page, count):
    sync_api.expect(page.locator(".caption:not(.speaking)")).to_have_count(count, timeout=60_000)
    return page.locator(".caption q").all_inner_texts()


def test_files_are_captioned_by_both_systems_with_clues_and_waveform(address, open_page, sounds):
    page = open_page(address)
    page.get_by_text("compare with sft").wait_for()
    page.locator("#files").set_input_files([sounds / "loud.wav"])
    assert captions(page, 2) == [SAYS["high"], OTHER["high"]]
    assert page.locator(".clues li").all_inner_texts() == ["emotion angry 62 %", "level high 91 %"]
    assert page.get_by_role("img", name="Waveform, 1.5 s").locator("rect").count() == 160
    assert page.locator("audio").get_attribute("aria-label") == "Play loud.wav"
    assert SAYS["high"] in page.get_by_role("status").inner_text()
    page.get_by_text("compare with sft").click()
    page.locator("#files").set_input_files([sounds / "soft.flac"])
    assert captions(page, 3)[0] == SAYS["low"]
    check_accessible(page)


def test_the_caption_appears_word_by_word(address, open_page, sounds):
    page = open_page(address)
    page.evaluate("""() => { window.seen = []; new MutationObserver(() => {
      const text = document.querySelector('.caption q')?.textContent;
      if (text !== undefined && text !== window.seen.at(-1)) window.seen.push(text);
    }).observe(document.body, { childList: true, subtree: true, characterData: true }); }""")
    page.locator("#files").set_input_files([sounds / "soft.flac"])
    captions(page, 2)
    seen = [text for text in page.evaluate("window.seen") if text]
    assert len(seen) > 1 and seen[-1] == SAYS["low"]
    assert all(SAYS["low"].startswith(text) for text in seen)


def test_recording_from_the_microphone(address, open_page):
    page = open_page(address)
    page.get_by_role("button", name="Record").click()
    page.get_by_role("button", name=re.compile(r"Stop, [2-9] s")).wait_for()
    page.get_by_role("button", name=re.compile("Stop")).click()
    assert captions(page, 2)[0] == SAYS["high"]
    assert float(re.findall(r"[\d.]+", page.locator(".meta").first.inner_text())[0]) > 1.0
    page.get_by_role("button", name="Record").wait_for()


def test_a_microphone_that_is_not_allowed_is_explained(address, open_page):
    page = open_page(address)
    page.evaluate(
        """() => { const refuse = async () => { throw new DOMException('', 'NotAllowedError'); };
        navigator.mediaDevices.getUserMedia = refuse; }"""
    )
    page.get_by_role("button", name="Record").click()
    assert "The microphone was not allowed" in page.get_by_role("alert").inner_text()


def test_dropped_files_and_errors_in_words(address, open_page, sounds):
    page = open_page(address)
    drop = """([name, bytes]) => { const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], name));
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })); }"""
    for name in ("paper.wav", "long.wav", "silent.wav"):
        page.evaluate(drop, [name, list((sounds / name).read_bytes())])
        page.locator(".problem:visible", has_text=name).wait_for()
    page.evaluate(drop, ["big.wav", [0] * 510_000])
    texts = " ".join(page.locator(".problem").all_inner_texts())
    assert "this file is a PDF" in texts and "12.0 s long, at most 10 s" in texts and "silent" in texts
    page.locator(".problem", has_text="larger than 0.5 MB").wait_for()
    check_accessible(page)


def test_the_language_that_is_chosen_goes_along(address, open_page, sounds):
    page = open_page(address)
    page.get_by_text("compare with sft").wait_for()
    page.get_by_label("Language").select_option("la")  # which breaks the tiny captioner
    page.locator("#files").set_input_files([sounds / "loud.wav"])
    page.locator(".problem", has_text="loud.wav").wait_for()
    page.get_by_label("Language").select_option(label="English")
    page.locator("#files").set_input_files([sounds / "loud.wav"])
    assert captions(page, 2)[0] == SAYS["high"]


def test_history_survives_a_reload_until_it_is_cleared(address, open_page, sounds):
    page = open_page(address)
    page.locator("#files").set_input_files([sounds / "loud.wav"])
    captions(page, 2)
    page.reload()
    assert captions(page, 2) == [SAYS["high"], OTHER["high"]]
    assert page.locator("audio:visible").count() == 0, "the recording itself is not kept"
    page.get_by_role("button", name="Clear history").click()
    assert page.get_by_text("Nothing yet").is_visible()
    page.reload()
    assert page.get_by_text("Nothing yet").is_visible()


def test_a_server_that_is_gone_is_said(captioners, open_page, sounds):
    with running(caption_app(captioners, Limits())) as url:
        page = open_page(url)
        page.get_by_text("compare with sft").wait_for()
    page.locator("#files").set_input_files([sounds / "loud.wav"])
    page.locator(".problem", has_text="the server cannot be reached").wait_for()


def test_keyboard_alone_reaches_every_control(address, open_page):
    page = open_page(address)
    page.get_by_text("compare with sft").wait_for()
    reached = []
    for _ in range(5):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert reached == ["record", "choose", "language", "compare", "HTTP interface"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone_and_dark_mode(address, open_page, sounds, scheme):
    page = open_page(address, color_scheme=scheme, viewport={"width": 360, "height": 740})
    page.locator("#files").set_input_files([sounds / "loud.wav", sounds / "paper.wav"])
    captions(page, 2)
    check_accessible(page)


def test_the_http_page_works_without_network(address, open_page):
    page = open_page(address)
    page.get_by_role("link", name="HTTP interface").click()
    page.get_by_text("Caption one recording word by word").wait_for()
    assert json.loads(page.request.get(f"{address}/openapi.json").text())["info"]["title"] == "AlignCap"
