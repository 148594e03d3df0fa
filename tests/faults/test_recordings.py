"""Recordings as they come: cut, joined, piped, of strange channels and scales. Read whole, with a word, or refused."""

import struct
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from sounds import RATE, SECONDS, TONE, amr, cut, encode, patched, without_frame_count

from aligncap.errors import AudioError
from aligncap.speech.audio import decode


def wav(path: Path, samples: np.ndarray = TONE, coding: str = "PCM_16") -> Path:
    soundfile.write(path, samples, RATE, coding, format="WAV")
    return path


VARIABLE = {"write_xing": "0", "flags": "+qscale", "global_quality": "236"}  # libmp3lame's second best quality


@pytest.mark.parametrize("change", [without_frame_count, lambda path: cut(path, 0.5)])
def test_mp3_gives_the_same_samples_always(tmp_path: Path, change) -> None:
    path = change(encode(tmp_path / "a.mp3", "libmp3lame", "mp3"))
    first, *others = [decode(path).samples for _ in range(6)]
    assert all(np.array_equal(first, other) for other in others)
    assert np.abs(first).max() < 0.5
    assert len(first) / RATE == pytest.approx(SECONDS if change is without_frame_count else SECONDS / 2, abs=0.15)


@pytest.mark.parametrize("silence_s", [0.25, 1.0])
def test_an_mp3_whose_first_frames_tell_nothing_of_its_length_is_as_long_as_what_it_holds(
    tmp_path: Path, silence_s: float
) -> None:
    """A variable bit rate and no frame that tells their number: the first ones, of silence, make it seem longer."""
    sound = np.concatenate([np.zeros(round(silence_s * RATE), np.float32), TONE, TONE])
    path = encode(tmp_path / "a.mp3", "libmp3lame", "mp3", sound=sound, options=VARIABLE)
    first, *others = [decode(path).samples for _ in range(3)]
    assert all(np.array_equal(first, other) for other in others)
    assert len(first) / RATE == pytest.approx(len(sound) / RATE, abs=0.15)


@pytest.mark.parametrize("byte_rate", [0, 1_000, RATE, 1 << 31])
def test_the_bytes_a_second_that_a_wav_states_do_not_matter(tmp_path: Path, byte_rate: int) -> None:
    """They say nothing that rate, channels and width do not, and some recorders write a wrong figure."""
    path = tmp_path / "a.wav"
    soundfile.write(path, TONE, RATE, "PCM_16")
    data = bytearray(path.read_bytes())
    data[28:32] = byte_rate.to_bytes(4, "little")
    path.write_bytes(data)
    clip = decode(path)
    assert len(clip.samples) == len(TONE) and not clip.cut


def test_mp3_cut_in_half_says_so(tmp_path: Path) -> None:
    clip = decode(cut(encode(tmp_path / "a.mp3", "libmp3lame", "mp3"), 0.5))
    assert clip.cut.startswith("cut: 1.") and clip.cut.endswith("of 3.00 s are there")
    assert clip.warnings == (clip.cut,)


LONG = 0.1 * np.random.default_rng(0).standard_normal(6 * len(TONE)).astype(np.float32)
CUT = {
    "wav": (lambda path: wav(path), "cut: 1.02 of 3.00 s are there"),
    "wav64": (lambda path: soundfile.write(path, TONE, RATE, "PCM_16", format="RF64"), "cut: 1.02 of 3.00 s are there"),
    "au": (lambda path: soundfile.write(path, TONE, RATE, "PCM_16", format="AU"), "cut: 1.02 of 3.00 s are there"),
    "flac": (lambda path: soundfile.write(path, TONE, RATE, format="FLAC"), "of 3.00 s are there"),
    "opus": (lambda path: soundfile.write(path, LONG, RATE, "OPUS", format="OGG"), "cut: the file ends in the middle"),
    "vorbis": (lambda path: soundfile.write(path, LONG, RATE, "VORBIS", format="OGG"), "cut: the file ends in the mid"),
    "matroska": (lambda path: encode(path, "pcm_s24le", "matroska"), "of 3.00 s are there"),
}


@pytest.mark.parametrize("kind", sorted(CUT))
def test_a_third_of_a_file_is_read_and_said_to_be_cut(tmp_path: Path, kind: str) -> None:
    make, told = CUT[kind]
    path = tmp_path / "clip"
    make(path)
    clip = decode(cut(path, 0.34 if kind != "flac" else 0.5))
    assert told in clip.cut
    assert 0.4 < clip.duration_s < 9.0


WITHOUT_LENGTH = {
    "mp3": lambda path: without_frame_count(encode(path, "libmp3lame", "mp3", sound=LONG)),
    "mp3 at 44.1 kHz": lambda path: without_names(encode(path, "libmp3lame", "mp3", 44_100, LONG)),
    "mp2": lambda path: encode(path, "mp2", "mp2", 32_000, LONG),
    "adts": lambda path: encode(path, "aac", "adts", sound=LONG),
    "amr": lambda path: amr(path),
    "amr of a wide band": lambda path: amr(path, wide=True),
    "webm of a browser": lambda path: encode(path, "libopus", "webm", 48_000, LONG, live=True),
}


def without_names(path: Path) -> Path:
    """Make an MP3 file whose first frame, which tells their number, is unknown to every reader; a tag is at its end."""
    data = path.read_bytes()
    for name in (b"Xing", b"Info", b"LAME"):
        data = data.replace(name, bytes(4))
    path.write_bytes(data + b"TAG" + bytes(125))
    return path


@pytest.mark.parametrize("kind", sorted(WITHOUT_LENGTH))
def test_a_stream_that_tells_no_length_is_said_to_be_cut_where_it_ends_in_a_frame(tmp_path: Path, kind: str) -> None:
    path = WITHOUT_LENGTH[kind](tmp_path / "clip")
    whole = path.read_bytes()
    assert decode(path).warnings == ()
    sound = whole[: -128 if whole[-128:-125] == b"TAG" else None]
    middle = len(whole) // 2
    told = []
    for length in (len(sound) - 1, len(sound) - 9, middle, middle + 1):
        path.write_bytes(whole[:length])
        told.append(decode(path).cut.startswith("cut: the file ends in the middle, after "))
    assert told[:2] == [True, True] and any(told[2:]), "where one more byte is, a frame may end just there"


def test_damage_and_what_follows_the_sound_are_no_cut(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.aac", "aac", "adts", sound=LONG)
    whole = path.read_bytes()
    path.write_bytes(whole + b"APETAGEX" + bytes(24))
    assert decode(path).warnings == ()
    path.write_bytes(whole[:5000] + bytes(600) + whole[5600:])
    assert decode(path).cut == ""


def test_joined_ogg_streams_are_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    soundfile.write(path, TONE, RATE, "VORBIS", format="OGG")
    path.write_bytes(path.read_bytes() * 2)
    clip = decode(path)
    assert clip.duration_s == pytest.approx(2 * SECONDS, abs=0.1) and not clip.warnings


def test_joined_aac_whose_format_changes_is_read_whole(tmp_path: Path) -> None:
    one = encode(tmp_path / "one", "aac", "adts", RATE)
    two = encode(tmp_path / "two", "aac", "adts", 44_100, layout="stereo")
    path = tmp_path / "joined.aac"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    clip = decode(path)
    assert clip.duration_s == pytest.approx(2 * SECONDS, abs=0.3)
    halves = np.array_split(clip.samples, 2)
    assert [np.sqrt(np.mean(half**2)) for half in halves] == pytest.approx([np.sqrt(np.mean(TONE**2))] * 2, rel=0.1)


@pytest.mark.parametrize("silence_s", [2, 5])
def test_aac_that_begins_in_silence(tmp_path: Path, silence_s: int) -> None:
    """From the small frames of 5 s of silence, FFmpeg takes the whole for more than a minute."""
    sound = np.concatenate([np.zeros(silence_s * RATE, np.float32), TONE])
    clip = decode(encode(tmp_path / "a.aac", "aac", "adts", sound=sound))
    assert clip.duration_s == pytest.approx(silence_s + SECONDS, abs=0.2)
    assert np.abs(clip.samples).max() == pytest.approx(0.4, abs=0.1)


def test_piped_flac_whose_header_knows_no_length(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, TONE, RATE, format="FLAC")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the 36 bits of the number of samples
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert decode(path).duration_s == pytest.approx(SECONDS, abs=0.01)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_wav_of_a_recorder_that_died(tmp_path: Path, size: int) -> None:
    path = patched(wav(tmp_path / "a.wav"), 40, struct.pack("<I", size))
    clip = decode(patched(path, 4, struct.pack("<I", size)))
    assert clip.duration_s == pytest.approx(SECONDS, abs=0.01) and not clip.warnings


@pytest.mark.parametrize(("container", "codec"), [("wav", "pcm_s16le"), ("mp4", "aac"), ("matroska", "flac")])
@pytest.mark.parametrize("layout", ["stereo", "5.1"])
def test_channels_are_averaged_whatever_reads_them(tmp_path: Path, container: str, codec: str, layout: str) -> None:
    channels = {"stereo": 2, "5.1": 6}[layout]
    sound = np.zeros((channels, len(TONE)), np.float32)
    sound[0] = TONE
    clip = decode(encode(tmp_path / "clip", codec, container, sound=sound, layout=layout))
    assert np.abs(clip.samples).max() == pytest.approx(0.4 / channels, rel=0.03)


def test_a_recording_of_many_channels_does_not_end_the_process(tmp_path: Path) -> None:
    """The array of a planar frame of more than 8 channels reads memory that is not its own."""
    sound = np.stack([TONE * (number + 1) / 16 for number in range(16)])
    path = tmp_path / "clip.mka"
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("pcm_f32le", rate=RATE, layout="16 channels")
        frame = av.AudioFrame.from_ndarray(sound.T.reshape(1, -1).copy(), format="flt", layout="16 channels")
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    code = "import sys; from aligncap.speech.audio import decode; decode(sys.argv[1]).samples.tofile(sys.argv[2])"
    found = subprocess.run([sys.executable, "-c", code, path, tmp_path / "samples"], capture_output=True, check=False)
    assert found.returncode == 0, found
    assert np.allclose(np.fromfile(tmp_path / "samples", np.float32), sound.mean(axis=0), atol=1e-4)


@pytest.mark.parametrize("layout", ["stereo", "mono"])
def test_a_channel_is_picked(tmp_path: Path, layout: str) -> None:
    sound = np.stack([TONE, TONE / 4]) if layout == "stereo" else TONE
    path = encode(tmp_path / "clip", "pcm_s16le", "wav", sound=sound, layout=layout)
    assert np.abs(decode(path, channel="left").samples).max() == pytest.approx(0.4, abs=0.01)
    if layout == "mono":
        with pytest.raises(AudioError, match="has one channel, so none on the right"):
            decode(path, channel="right")
    else:
        assert np.abs(decode(path, channel="right").samples).max() == pytest.approx(0.1, abs=0.01)


def test_a_path_may_name_a_channel(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", np.stack([TONE, TONE / 4], axis=1))
    assert np.array_equal(decode(f"{path}#right").samples, decode(path, channel="right").samples)
    own = wav(tmp_path / "b#right", TONE)
    assert len(decode(own).samples) == len(TONE)
    with pytest.raises(AudioError, match="no such file"):
        decode(tmp_path / "gone.wav#left")


def test_channels_of_opposite_phase_are_not_silence(tmp_path: Path) -> None:
    clip = decode(wav(tmp_path / "a.wav", np.stack([0.5 * TONE, -0.6 * TONE], axis=1), "FLOAT"))
    assert clip.warnings == ("its channels cancel each other out, so only one of them (right) was heard",)
    assert np.abs(clip.samples).max() == pytest.approx(0.24, abs=0.001)


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (TONE * 32_768, "is 13[0-9]+.*, full scale is 1; divide by the full scale, such as 32768"),
        (np.where(np.arange(len(TONE)) == 777, 1e30, TONE), "sample 777 is 1e[+]30, full scale is 1"),
        (np.where(np.arange(len(TONE)) == 778, np.nan, TONE), "sample 778 is nan, .*record it again"),
    ],
)
def test_floats_out_of_range_are_refused_by_name(tmp_path: Path, samples: np.ndarray, told: str) -> None:
    with pytest.raises(AudioError, match=told):
        decode(wav(tmp_path / "a.wav", samples, "FLOAT"))


def test_floats_a_little_over_full_scale_are_fine(tmp_path: Path) -> None:
    assert np.abs(decode(wav(tmp_path / "a.wav", TONE * 6, "FLOAT")).samples).max() == pytest.approx(2.4, abs=0.001)


def test_wav_of_an_unknown_codec(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="not audio, or corrupt|codec that is not known"):
        decode(patched(wav(tmp_path / "a.wav"), 20, struct.pack("<H", 0x7A7A)))


def test_matroska_of_an_unknown_codec(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mka", "flac", "matroska")
    path.write_bytes(path.read_bytes().replace(b"A_FLAC", b"A_FLIC"))
    with pytest.raises(AudioError, match="a codec that is not known; convert it"):
        decode(path)


@pytest.mark.parametrize("container", ["FLAC", "OGG", "WAV"])
def test_damage_in_the_middle_costs_no_more_than_itself(tmp_path: Path, container: str) -> None:
    path = tmp_path / "clip"
    soundfile.write(path, LONG, RATE, format=container)
    middle = path.stat().st_size // 2
    clip = decode(patched(path, middle, bytes(range(32))))
    assert clip.duration_s > len(LONG) / RATE / 3


def test_a_playlist_reads_no_other_file(tmp_path: Path) -> None:
    wav(tmp_path / "secret.wav")
    for name, text in {
        "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nsecret.wav\n#EXT-X-ENDLIST\n",
        "a.ffconcat": "ffconcat version 1.0\nfile secret.wav\n",
    }.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(AudioError, match="not audio"):
            decode(tmp_path / name)


def test_a_pointer_of_git_lfs_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(AudioError, match="is a Git LFS pointer, not the recording; fetch it with 'git lfs pull'"):
        decode(tmp_path / "a.wav")
