"""Servers and a browser for the tests of the pages."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_rows import audio_row
from tiny_captioner import OTHER, TinyCaptioner, tiny_llm

from aligncap import artifacts

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def captioners(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TinyCaptioner]:
    folder = tiny_llm(tmp_path_factory.mktemp("models"))
    return {"kd": TinyCaptioner(folder), "sft": TinyCaptioner(folder, OTHER)}


def tone(seconds: float, peak: float) -> np.ndarray:
    """A tone that swells and fades, 16 kHz."""
    time_s = np.arange(int(seconds * 16_000)) / 16_000
    swell = np.sin(np.pi * time_s / seconds) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * time_s))
    return (peak * swell * np.sin(2 * np.pi * 180 * time_s)).astype(np.float32)


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """loud.wav, soft.flac, microphone.wav, and files that are no recordings."""
    folder = tmp_path_factory.mktemp("sounds")
    soundfile.write(folder / "loud.wav", tone(1.5, 0.9), 16_000)
    soundfile.write(folder / "soft.flac", tone(2.0, 0.1), 16_000)
    soundfile.write(folder / "long.wav", tone(12.0, 0.5), 16_000)
    soundfile.write(folder / "silent.wav", np.zeros(16_000, np.float32), 16_000)
    soundfile.write(folder / "microphone.wav", np.tile(tone(2.0, 0.9), 4), 16_000)
    (folder / "paper.wav").write_bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj")
    return folder


@pytest.fixture(scope="session")
def browser(sounds: Path) -> Iterator:
    """Debian's chromium; its microphone is a file."""
    from playwright.sync_api import sync_playwright

    flags = [
        "--no-sandbox",  # containers run as root
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={sounds / 'microphone.wav'}",
        "--autoplay-policy=no-user-gesture-required",
    ]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser) -> Iterator[Callable]:
    """Opens a page in a window of its own; a script error, or a request to anywhere else, fails the test."""
    contexts, troubles = [], []

    def opened(url: str, **options):
        context = browser.new_context(**{"permissions": ["microphone"], **options})
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith((url, "blob:", "data:")) else troubles.append(r.url))
        page.on("console", lambda m: troubles.append(m.text) if "Content Security Policy" in m.text else None)
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not troubles


@pytest.fixture
def results(tmp_path: Path, sounds: Path) -> Path:
    """Results of an experiment: six test utterances by two systems, candidates of training utterances."""
    folder = tmp_path / "results" / "made_up"
    for corpus, split in (("unseen", "test"), ("known", "train")):
        rows = [
            audio_row(
                f"{corpus}_sadness_{i}",
                os.path.relpath(sounds / ("loud.wav" if i % 2 else "soft.flac"), tmp_path),
                1.5,
                audio_sha256=str(i),
                split=split,
            )
            for i in range(6)
        ]
        artifacts.write(rows, folder / "corpora" / corpus / "audio.parquet", "audio", "test")
    said = {
        "kd": [f"The speaker sounds sad, part {i}." for i in range(6)],
        "sft": ["The speaker sounds sad, part 0.", *(f"Somebody shouts in anger, part {i}." for i in range(1, 6))],
    }
    for system, captions in said.items():
        rows = [
            {"utterance_id": f"unseen_sadness_{i}", "caption": text, "n_tokens": 9, "finished": True}
            for i, text in enumerate(captions)
        ]
        artifacts.write(rows, folder / "captions" / system / "unseen.parquet", "captions", "test")
    roles = ["preference", "preference", "adapt", "adapt", "align", "dev"]
    plan = [
        {"utterance_id": f"known_sadness_{i}", "corpus": "known", "speaker_key": f"known/{i}", "role": r, "fold": 0}
        for i, r in enumerate(roles)
    ]
    artifacts.write(plan, folder / "plan.parquet", "plan", "test")
    sampled = [
        "She sounds happy.",
        "She sounds happy.",
        "She is happy.",
        "She sounds very angry.",
        "He whispers sadly.",
    ]
    candidates = [
        {
            "candidate_id": f"known/known_sadness_{i}#{n}",
            "utterance_id": f"known_sadness_{i}",
            "corpus": "known",
            "caption": text,
            "token_ids": [1],
            "sum_logprob": -1.0,
            "temperature": 1.0,
            "seed": 0,
            "finished": True,
        }
        for i in range(4)
        for n, text in enumerate(sampled)
    ]
    artifacts.write(candidates, folder / "candidates" / "kd.parquet", "candidates", "test")
    return folder
