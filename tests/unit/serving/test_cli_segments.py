"""``aligncap caption --segment auto``: long recordings by the command, of random tiny models."""

import json

import numpy as np
import soundfile
from tiny_checkpoint import noise

from aligncap import Captioner


def test_a_long_recording_becomes_subtitles(run, checkpoint, tmp_path):
    call, out = tmp_path / "call.wav", tmp_path / "call.srt"
    soundfile.write(call, np.concatenate([noise(30.0, 1), noise(30.0, 4), noise(5.0, 2)]), 16_000, "FLOAT")
    options = ("--model", checkpoint, "--language", "en", "--segment", "auto", "--out", out)
    code, _, said = run("caption", call, *options)
    assert code == 0 and "3 segments in 65 s" in said
    text = out.read_text(encoding="utf-8")
    assert text.startswith("1\n00:00:00,000 --> 00:00:30,000\n") and text.count("-->") == 3
    assert "00:00:30,000 --> 00:01:00,000" in text, "no two cues at once"
    code, _, said = run("caption", call, call, *options)
    assert code == 2 and "subtitles are of one recording and channel, got 2" in said


def segments(run, checkpoint, *arguments: object) -> tuple[int, str, str]:
    return run("caption", "--segment", "auto", "--model", checkpoint, "--language", "en", *arguments)


def test_a_segment_that_fails_is_told_with_its_time_and_costs_no_other(run, checkpoint, tmp_path, monkeypatch):
    call, calls = tmp_path / "call.wav", iter(range(9))
    soundfile.write(call, noise(65.0, 1), 16_000, "FLOAT")
    prepare_clip = Captioner.prepare_clip

    def second_fails(self, *arguments):
        if next(calls) == 1:
            raise IndexError("list index\nout of range")
        return prepare_clip(self, *arguments)

    monkeypatch.setattr(Captioner, "prepare_clip", second_fails)
    code, printed, said = segments(run, checkpoint, call, "--json")
    rows = [json.loads(line) for line in printed.splitlines()]
    assert code == 1
    assert [(row["start_s"], row["end_s"], bool(row["caption"])) for row in rows] == [
        (0.0, 30.0, True),
        (30.0, 60.0, False),
        (60.0, 65.0, True),
        (0.0, 65.0, True),
    ]
    told = "call.wav: 0:30-1:00: IndexError: list index out of range"
    assert told in rows[1]["problem"] and f"aligncap: {tmp_path / told}" in said
    assert rows[3]["warnings"] == ["1 of 3 segments have no caption"] and "2 segments in 65 s" in said


def test_a_batch_that_fails_is_captioned_segment_by_segment(run, checkpoint, tmp_path, monkeypatch):
    call = tmp_path / "call.wav"
    soundfile.write(call, noise(65.0, 1), 16_000, "FLOAT")
    describe = Captioner.describe

    def one_at_once(self, clips, *arguments):
        if len(clips) > 1 or clips[0].duration_s < 10:
            raise MemoryError
        return describe(self, clips, *arguments)

    monkeypatch.setattr(Captioner, "describe", one_at_once)
    code, printed, said = segments(run, checkpoint, call)
    assert code == 1 and len(printed.splitlines()) == 3 and "call.wav: 1:00-1:05: MemoryError" in said


def test_a_recording_that_breaks_off_keeps_its_captions(run, checkpoint, tmp_path):
    call, out = tmp_path / "call.wav", tmp_path / "call.vtt"
    sound = noise(140.0, 1)
    sound[130 * 16_000] = np.nan
    soundfile.write(call, sound, 16_000, "FLOAT")
    code, _, said = segments(run, checkpoint, call, "--out", out)
    assert code == 1 and "call.wav: 0:30-2:20: sample 2080000 is nan" in said
    assert out.read_text(encoding="utf-8").count("-->") == 1


def test_segments_heed_quiet_and_the_longest_duration_and_refuse_what_they_do_not_know(run, checkpoint, tmp_path):
    call, out = tmp_path / "call.wav", tmp_path / "call.jsonl"
    soundfile.write(call, noise(65.0, 1), 16_000, "FLOAT")
    assert segments(run, checkpoint, call, "--out", out, "--quiet", "--max-duration", 70) == (0, "", "")
    written = out.read_bytes()
    code, _, said = segments(run, checkpoint, call, "--out", out)
    assert code == 2 and "call.jsonl: is there already" in said and out.read_bytes() == written
    out.unlink()
    code, printed, said = segments(run, checkpoint, call, "--out", out, "--max-duration", 60)
    assert (code, printed) == (1, "") and not out.exists()
    assert "65.0 s long, at most 60 s are read; cut it or raise --max-duration" in said
    code, _, said = run("caption", call, "--model", checkpoint)
    assert code == 1 and "65.0 s long, at most 60 s are read; give --segment auto, or raise --max-duration" in said
    for option in ("--csv", "--parquet"):
        code, _, said = segments(run, checkpoint, call, option)
        assert code == 2 and f"{option}: segments are text, JSON or subtitles" in said
    code, _, said = run("caption", "--segment", "auto", "--watch", tmp_path, "--model", checkpoint, "--out", "x.srt")
    assert code == 2 and "--segment auto: takes FILE..., not --watch" in said
    code, _, said = segments(run, checkpoint, call, "--channel", "split", "--out", tmp_path / "x.srt")
    assert code == 2 and "give --channel left, then --channel right" in said


def test_a_file_that_cannot_be_opened_costs_no_other_its_segments(run, checkpoint, tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(0.6, 1), 16_000, "FLOAT")
    long = tmp_path / ("x" * 300 + ".wav")
    code, printed, said = segments(run, checkpoint, tmp_path / "a.wav", long)
    assert code == 1 and "a.wav" in printed and "File name too long" in said


def test_segments_load_no_model_for_a_file_that_is_not_there(run, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("ALIGNCAP_MODELS", str(tmp_path / "nowhere"))
    code, _, said = segments(run, checkpoint, tmp_path / "gone.wav")
    assert code == 1 and "gone.wav: no such file" in said and not (tmp_path / "nowhere").exists()
