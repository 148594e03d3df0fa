"""The annotation page in chromium: two annotators, keyboard and mouse, a killed server."""

import pytest
from accessibility import check_accessible
from page_server import running

from aligncap.serving.web.annotation import annotation_app, load_tasks
from aligncap.serving.web.answers import Answers

pytestmark = pytest.mark.web
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright not installed; run `make setup`")


@pytest.fixture
def tasks(results):
    return load_tasks(results, ["kd", "sft"], None, [], None)


@pytest.fixture
def answers(tmp_path):
    return Answers(tmp_path / "answers.sqlite")


@pytest.fixture
def address(tasks, answers):
    with running(annotation_app(tasks, answers)) as url:
        yield url


def progress(page, done):
    sync_api.expect(page.locator("#progress-text")).to_have_text(f"{done} of 5 answered", timeout=60_000)


def sign_in(page, name):
    page.get_by_label("Your name").fill(name)
    page.keyboard.press("Enter")
    progress(page, 0)


def test_mouse_listen_choose_go_back_and_finish(address, open_page, answers, tasks):
    page = open_page(address)
    check_accessible(page)
    sign_in(page, "Ann")
    choice = page.get_by_role("button", name="Both fine")
    assert choice.is_disabled() and page.get_by_text("Listen first").is_visible()
    page.get_by_role("button", name="Play").click()
    page.get_by_text("played once").wait_for()
    page.get_by_role("button", name="Again").click()
    page.get_by_text("played 2 times").wait_for()
    check_accessible(page)
    wanted = page.locator("#caption-b").inner_text()
    page.locator("[data-choice=b]").click()
    progress(page, 1)
    assert choice.is_disabled(), "the next recording was not listened to"
    (answer,) = answers.all()
    assert {"first": answer.first_caption, "second": answer.second_caption}[answer.choice] == wanted
    assert (answer.plays, answer.annotator) == (2, "Ann")
    page.get_by_role("button", name="Back").click()
    progress(page, 0)
    assert page.locator("#caption-b").inner_text() == wanted and answers.all() == []
    for number in range(5):
        page.locator("#play").click()
        page.locator("[data-choice=both_hallucinate]:enabled").click()
        progress(page, number + 1)
    page.get_by_text("That was all").wait_for()
    check_accessible(page)
    assert {answer.choice for answer in answers.all()} == {"both_hallucinate"}
    assert "sadness" not in page.content() and "sft" not in page.content()


def test_keyboard_alone(address, open_page, answers):
    page = open_page(address)
    page.keyboard.type("bob")
    page.keyboard.press("Enter")
    progress(page, 0)
    page.keyboard.press("1")  # nothing was heard
    for number, key in enumerate("1234"):
        page.keyboard.press(" ")
        page.get_by_text("played once").wait_for()
        page.keyboard.press(key)
        progress(page, number + 1)
    page.keyboard.press("Backspace")
    progress(page, 3)
    assert len(answers.all()) == 3
    page.get_by_label("keyboard:").uncheck()  # single keys can be turned off (WCAG 2.1.4)
    page.locator("#play").click()
    page.get_by_text("played once").wait_for()
    page.keyboard.press("1")
    page.wait_for_timeout(300)
    assert len(answers.all()) == 3


def test_two_people_and_a_resume_after_the_server_was_gone(tasks, answers, open_page, results):
    with running(annotation_app(tasks, answers)) as url:
        first, second = open_page(url), open_page(url)
        for page, name in ((first, "Ann"), (second, "Ben")):
            sign_in(page, name)
            page.locator("#play").click()
            page.locator("[data-choice=both_fine]:enabled").click()
            progress(page, 1)
        shown = first.locator("#caption-a").inner_text()
        first.locator("#play").click()
        first.locator("[data-choice=a]:enabled").wait_for()
    first.locator("[data-choice=a]").click()
    first.get_by_text("The server cannot be reached").wait_for()
    assert len(answers.all()) == 2
    with running(annotation_app(tasks, answers)) as url:
        page = open_page(url)
        page.get_by_label("Your name").fill("ann")
        page.get_by_role("button", name="Start").click()
        progress(page, 1)
        assert page.locator("#caption-a").inner_text() == shown
        page.reload()
        progress(page, 1)
        page.get_by_role("button", name="Not you?").click()
        page.get_by_label("Your name").wait_for()
    assert sorted(answer.annotator for answer in answers.all()) == ["Ann", "Ben"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone_and_dark_mode(address, open_page, scheme):
    page = open_page(address, color_scheme=scheme, viewport={"width": 360, "height": 740})
    check_accessible(page)
    sign_in(page, "Cleo")
    page.locator("#play").click()
    page.get_by_text("played once").wait_for()
    check_accessible(page)
    boxes = [page.locator(f"[data-choice={choice}]").bounding_box() for choice in ("a", "b")]
    assert boxes[0]["y"] < boxes[1]["y"] and min(box["height"] for box in boxes) >= 44


def test_a_browser_that_keeps_nothing_shows_the_page_all_the_same(address, open_page):
    page = open_page(address)
    page.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw new Error('blocked'); }})")
    page.reload()
    sign_in(page, "Ann")


def test_a_server_that_breaks_down_is_told_in_words(address, open_page):
    page = open_page(address)
    page.route("**/v1/**", lambda route: route.fulfill(status=500, content_type="text/plain", body="Internal Error"))
    page.get_by_label("Your name").fill("Ann")
    page.keyboard.press("Enter")
    sync_api.expect(page.locator("#problem")).to_have_text("The server did not accept this.")
