"""The ASR on a random Whisper, which never stops by itself; the real one where it has been fetched."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample_poly

from aligncap.config import Compute, Corpus, Transcripts
from aligncap.config.languages import ISO_639_1, LANGUAGES
from aligncap.config.validation import validated
from aligncap.corpora.espeak import Speech, speak_all
from aligncap.errors import AudioError, ConfigError
from aligncap.speech.asr import MAX_TOKENS, TOKENS_PER_SECOND, Encoding, Transcriber, Window, quietest
from aligncap.speech.parallel import each_in_a_thread

REAL = Path(__file__).parents[3] / "models" / "whisper-base"
COMPUTE = Compute(precision="fp32", device="cpu", threads=1)
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="models/whisper-base has not been fetched")


def tone(seconds: float, hertz: float = 220) -> np.ndarray:
    time = np.arange(round(16_000 * seconds)) / 16_000
    return (0.1 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


@pytest.fixture(scope="module")
def real() -> Transcriber:
    return Transcriber(REAL, COMPUTE, Transcripts())


def speaking(transcriber: Transcriber, monkeypatch, tokens_per_second: float) -> list:
    """Let it write so many tokens a second, its text a number for each window; return samples and language of each."""
    calls = []

    def write(samples, language, limit):
        calls.append((len(samples), language))
        return Window(str(len(calls)), -len(calls), min(limit, round(tokens_per_second * len(samples) / 16_000)))

    monkeypatch.setattr(transcriber.whisper, "write", write)
    return calls


@pytest.mark.parametrize("beam_size", [1, 2])
def test_a_repetition_ends_at_a_limit_that_follows_the_duration(tiny_whisper, monkeypatch, beam_size):
    transcriber = Transcriber(tiny_whisper.parent, COMPUTE, Transcripts(beam_size=beam_size, task="translate"))
    windows = []
    write = transcriber.whisper.write
    monkeypatch.setattr(transcriber.whisper, "write", lambda *given: windows.append(write(*given)) or windows[-1])
    for seconds in (0.5, 1.5):
        _, logprob = transcriber.transcribe(tone(seconds), "de")
        assert windows[-1].tokens == TOKENS_PER_SECOND * seconds and logprob == windows[-1].logprob < 0
    assert len(windows) == 2


def test_a_text_that_reaches_whispers_limit_is_written_in_parts(tiny_whisper, monkeypatch):
    transcriber = Transcriber(tiny_whisper.parent, COMPUTE, Transcripts())
    calls = speaking(transcriber, monkeypatch, 10)
    samples = np.concatenate([tone(12.0), np.zeros(1600, np.float32), tone(12.0)])
    text, logprob = transcriber.transcribe(samples, "de")
    assert [n for n, _ in calls[1:]] == pytest.approx([12 * 16_000 + 800] * 2, abs=160)
    assert text == "2 3" and logprob == -2.5


@pytest.mark.parametrize("tokens_per_second", [4, 1000])
def test_no_window_is_longer_than_whisper_reads_and_none_of_a_long_clip_is_left_out(
    tiny_whisper, monkeypatch, tokens_per_second
):
    transcriber = Transcriber(tiny_whisper.parent, COMPUTE, Transcripts())
    calls = speaking(transcriber, monkeypatch, tokens_per_second)
    text, _ = transcriber.transcribe(tone(100.0), None)
    kept = [calls[int(number) - 1] for number in text.split()]
    assert max(n for n, _ in calls) <= 30 * 16_000 and sum(n for n, _ in kept) == 100 * 16_000
    assert len({language for _, language in calls}) == 1 and calls[0][1], "detected once, for all windows"


def test_the_cut_is_in_the_quietest_stretch_of_the_middle_third():
    samples = tone(9.0)
    samples[:8_000] = 0  # quieter, yet at the start
    samples[80_000:83_200] *= 0.1
    assert 80_800 <= quietest(samples) <= 82_400


def test_weights_in_half_precision_transcribe(tiny_whisper, tmp_path):
    """Whisper-large-v3 lies on the hub like that."""
    from transformers import AutoTokenizer, WhisperFeatureExtractor, WhisperForConditionalGeneration

    WhisperForConditionalGeneration.from_pretrained(tiny_whisper.parent).half().save_pretrained(tmp_path)
    for part in (AutoTokenizer, WhisperFeatureExtractor):
        part.from_pretrained(tiny_whisper.parent).save_pretrained(tmp_path)
    _, logprob = Transcriber(tmp_path, COMPUTE, Transcripts()).transcribe(tone(1.0), "de")
    assert logprob < 0


def test_a_language_that_this_whisper_does_not_know_is_detected_and_told_once(tiny_whisper, monkeypatch, caplog):
    transcriber = Transcriber(tiny_whisper.parent, COMPUTE, Transcripts())
    calls = speaking(transcriber, monkeypatch, 4)
    for _ in range(2):
        transcriber.transcribe(tone(0.5), "ja")
    detected = transcriber.whisper.detect(tone(0.5))
    assert [language for _, language in calls] == [detected] * 2 and detected in ("en", "de", "pl", "zh")
    assert [r.message for r in caplog.records if "'ja'" in r.message] == [
        "language 'ja': this Whisper does not know it, so each clip's is detected"
    ]


@pytest.mark.parametrize("code", ["eng", "EN", "english", "en-US", "xx", "jw", ""])
def test_what_is_no_language_is_one_clear_line(tiny_whisper, code):
    with pytest.raises(AudioError, match=rf"^language: '{code}' is no ISO 639-1 code; .*leave it out[^\n]*$"):
        Transcriber(tiny_whisper.parent, COMPUTE, Transcripts()).transcribe(tone(0.5), code)
    with pytest.raises(ConfigError, match=f"language: '{code}' is no ISO 639-1 code"):
        validated(Corpus, {"adapter": "manifest", "role": "test", "root": "x.csv", "language": code})


@pytest.mark.models
@needs_real
@pytest.mark.parametrize("code", sorted(LANGUAGES))
def test_every_language_that_the_configuration_takes_is_transcribed(real, monkeypatch, code):
    """As Whisper's own code of it, or as the language that is detected where Whisper has none."""
    from transformers.models.whisper.tokenization_whisper import LANGUAGES as WHISPER

    assert validated(Corpus, {"adapter": "manifest", "role": "test", "root": "x.csv", "language": code})
    given = []
    monkeypatch.setattr(real.whisper, "detect", lambda samples: "detected")
    monkeypatch.setattr(
        real.whisper.model, "transcribe", lambda samples, language, **_: (given.append(language) or [], None)
    )
    real.transcribe(tone(0.5), code)
    known = code in set(WHISPER) - {"yue"}  # Cantonese came with large-v3
    assert given == [{"jv": "jw", "nb": "no"}.get(code, code if known else "detected")]


@pytest.mark.models
@needs_real
@pytest.mark.parametrize("code", ["jv", "nb", "ga", "yue", None])
def test_the_real_whisper_takes_languages_that_ended_in_a_traceback(real, code):
    text, logprob = real.transcribe(tone(1.0), code)
    assert isinstance(text, str) and logprob <= 0


def test_whispers_languages_are_all_in_the_configuration():
    from transformers.models.whisper.tokenization_whisper import LANGUAGES as WHISPER

    assert set(WHISPER) - LANGUAGES == {"jw"} and len(ISO_639_1) == 183


@pytest.mark.models
@needs_real
def test_ctranslate2_writes_as_many_tokens_as_it_is_allowed(real, monkeypatch):
    """Without an end of the text, CTranslate2 writes up to its own limit, which is not the one that it is given."""
    generate = real.whisper.model.model.generate
    end = real.whisper.model.hf_tokenizer.token_to_id("<|endoftext|>")

    class Endless:
        def __getattr__(self, name):
            return getattr(inner, name)

        def generate(self, features, prompts, suppress_tokens, **options):
            return generate(features, prompts, suppress_tokens=[*suppress_tokens, end], **options)

    inner = real.whisper.model.model
    monkeypatch.setattr(real.whisper.model, "model", Endless())
    # Speech, because faster-whisper drops what it writes of noise on some processors.
    (spoken,) = speak_all([Speech("We walked along the river to the old bridge.", "en-us", 170, 50, 50)])
    samples = np.resize(resample_poly(spoken, 16_000, 22_050).astype(np.float32), 480_000)
    for seconds, limit in ((2, 48), (30, MAX_TOKENS)):
        assert real.whisper.write(samples[: 16_000 * seconds], "en", limit).tokens == limit


@pytest.mark.models
@needs_real
@pytest.mark.parametrize("times", [1, 3])
def test_speech_keeps_its_end(real, times):
    """A told story of 47 words, said once (13 s, more than 34 tokens) or three times (40 s)."""
    told = (
        "In the morning we walked along the river to the old bridge, and after lunch we took the train back to the "
        "city. It was raining all day, so we stayed at home and read the newspaper. In the evening my sister came to "
        "visit us with her children. "
    )
    (speech,) = speak_all([Speech(told * times, "en-us", 170, 50, 50)])
    samples = resample_poly(speech, 16_000, 22_050).astype(np.float32)
    text, _ = real.transcribe(samples, "en")
    assert len(re.findall("sister", text)) == times and re.search(r"children\W*$", text)


@pytest.mark.models
@needs_real
def test_the_arithmetic_is_the_configured_one(real):
    assert real.whisper.model.model.compute_type == "float32"
    rounded = Transcriber(REAL, COMPUTE, Transcripts(compute_type="int8"))
    assert rounded.whisper.model.model.compute_type.startswith("int8")
    with pytest.raises(ConfigError, match=r"compute_type: float16 is not computed on this cpu; set float32"):
        Transcriber(REAL, COMPUTE, Transcripts(compute_type="float16"))
    samples = tone(2.0)
    assert real.transcribe(samples, "en") == real.transcribe(samples, "en")


def test_equal_features_are_encoded_once_by_each_thread():
    asked = []
    encode = Encoding(lambda features: asked.append(features) or len(asked))
    one, other = np.zeros((2, 8)), np.ones((2, 8))
    assert [encode(one), encode(one.copy()), encode(other), encode(one)] == [1, 1, 2, 3]
    encode.frames = 4
    assert encode(one) == 4 and asked[-1].shape == (2, 4)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(encode, one).result() == 5 and asked[-1].shape == (2, 8)
    assert encode(one) == 4


@pytest.mark.models
@needs_real
def test_a_clip_whose_language_is_detected_is_encoded_once(real, monkeypatch):
    """The library's own detection would encode it a second time."""
    (speech,) = speak_all([Speech("We walked along the river to the old bridge.", "en-us", 170, 50, 50)])
    samples = resample_poly(speech, 16_000, 22_050).astype(np.float32)
    asked = []
    encode = real.whisper.encoding.encode
    monkeypatch.setattr(real.whisper.encoding, "encode", lambda found: asked.append(found.shape) or encode(found))
    real.whisper.encoding.last = None
    assert real.transcribe(samples) == real.transcribe(samples, "en")
    seconds = len(samples) / 16_000 + Transcripts().padding_s
    assert len(asked) == 1 and asked[0][1] == pytest.approx(100 * seconds, abs=2)


@pytest.mark.models
@needs_real
def test_a_text_that_repeats_itself_is_written_anew_of_the_whole_window(monkeypatch):
    transcriber = Transcriber(REAL, COMPUTE, Transcripts(padding_s=1.0))
    (speech,) = speak_all([Speech("We walked along the river to the old bridge.", "en-us", 170, 50, 50)])
    samples = resample_poly(speech, 16_000, 22_050).astype(np.float32)
    write, frames = transcriber.whisper._write, []

    def repeating(samples, language, limit):
        frames.append(transcriber.whisper.encoding.frames)
        found = write(samples, language, limit)
        return found if frames[-1] == 3000 else Window("again and again", -0.1, limit)

    monkeypatch.setattr(transcriber.whisper, "_write", repeating)
    assert "river" in transcriber.transcribe(samples, "en")[0]
    assert len(frames) == 2 and frames[0] < 600 and frames[1] == 3000


@pytest.mark.models
@needs_real
def test_threads_write_the_same_texts():
    texts = ("We walked along the river.", "Is that your sister, or is it mine?", "Close the door and open the window.")
    spoken = speak_all([Speech(text, "en-us", 170, 50, 50) for text in texts])
    clips = [resample_poly(speech, 16_000, 22_050).astype(np.float32) for speech in spoken] * 2
    one = Transcriber(REAL, COMPUTE, Transcripts())
    two = Transcriber(REAL, COMPUTE.model_copy(update={"threads": 2}), Transcripts())
    alone = [one.transcribe(clip) for clip in clips]
    assert list(each_in_a_thread(two.transcribe, clips, two.threads)) == alone
    assert len(set(alone)) == 3


def test_a_language_that_is_left_out_gets_no_text(tiny_whisper, monkeypatch):
    transcriber = Transcriber(tiny_whisper.parent, COMPUTE, Transcripts(leave_out=("am",)))
    calls = speaking(transcriber, monkeypatch, 4)
    assert transcriber.transcribe(tone(1.0), "am") == ("", 0.0) and not calls
    assert transcriber.transcribe(tone(1.0), "de")[0] == "1"
    monkeypatch.setattr(transcriber.whisper, "detect", lambda samples: "am")
    assert transcriber.transcribe(tone(1.0)) == ("", 0.0) and len(calls) == 1, "detected is as good as told"


def test_a_whisper_of_english_alone_is_asked_for_no_language(tiny_whisper, tmp_path):
    from transformers import AutoTokenizer, WhisperFeatureExtractor, WhisperForConditionalGeneration

    model = WhisperForConditionalGeneration.from_pretrained(tiny_whisper.parent)
    model.generation_config.is_multilingual = False
    for name in ("lang_to_id", "task_to_id"):
        delattr(model.generation_config, name)
    model.save_pretrained(tmp_path)
    for part in (AutoTokenizer, WhisperFeatureExtractor):
        part.from_pretrained(tiny_whisper.parent).save_pretrained(tmp_path)
    transcriber = Transcriber(tmp_path, COMPUTE, Transcripts(task="transcribe"))
    for language in ("en", None):
        assert transcriber.transcribe(tone(1.0), language)[1] < 0
    with pytest.raises(ConfigError, match="translate: .* knows English alone; set 'transcribe'"):
        Transcriber(tmp_path, COMPUTE, Transcripts(task="translate"))


BY_INSTRUCTIONS = """
import numpy as np, sys
from pathlib import Path
from aligncap.config import Compute, Transcripts
from aligncap.speech.asr import Transcriber
asr = Transcriber(Path(sys.argv[1]), Compute(precision="fp32", device="cpu", threads=1), Transcripts())
print(*(asr.transcribe(samples, "en") for samples in np.load(sys.argv[2]).values()), sep="\\n")
"""


@pytest.mark.models
@needs_real
def test_float32_writes_the_same_text_whatever_the_processor_can(tmp_path):
    """CTranslate2 uses the instructions of other processors, with which int8 writes other words (docs/models.md)."""
    texts = ["We walked along the river to the old bridge.", "I have told you again and again.", "It rained all day."]
    spoken = speak_all([Speech(text, "en-gb+f2", 150 + 20 * n, 50, 50) for n, text in enumerate(texts)])
    np.savez(tmp_path / "said.npz", *(resample_poly(one, 16_000, 22_050).astype(np.float32) for one in spoken))
    command = [sys.executable, "-c", BY_INSTRUCTIONS, str(REAL), str(tmp_path / "said.npz")]
    told = {}
    for instructions in ("AVX", "AVX2", "AVX512"):
        there = os.environ | {"CT2_FORCE_CPU_ISA": instructions}
        done = subprocess.run(command, env=there, capture_output=True, text=True)
        if done.returncode == 0:  # this processor has them
            told[instructions] = [line.split("', ")[0] for line in done.stdout.splitlines()]
        else:
            assert "CPU" in done.stderr, done.stderr
    assert "AVX" in told and len(told["AVX"]) == len(texts)
    assert all(own == told["AVX"] for own in told.values())
