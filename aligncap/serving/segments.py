"""Captions of long recordings: one for each segment between pauses, changes of emotion, and one for the whole (ours).

A recording of hours is read window by window (``aligncap.speech.audio.Reading``), so memory does not grow with it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from aligncap.clues.parser.grammar import dominant_emotion
from aligncap.clues.prompts import template_caption
from aligncap.errors import AudioError
from aligncap.serving.sounds import Recording
from aligncap.speech.audio import SAMPLE_RATE, SILENCE, Reading, Samples, fault_of, resampled
from aligncap.vocabulary import Clue

if TYPE_CHECKING:
    from aligncap.serving.captioner import Captioner

PAUSE_S = 0.7  # a pause of this length ends a segment that is long enough
SHORTEST_S, LONGEST_S = 4.0, 30.0  # of a segment; a shorter one goes on over pauses, a longer one is cut where it is
MARGIN_S = 0.1  # kept before and after the speech of a segment, where the next one leaves it
MOST_CHANGES = 4  # changes that the caption of the whole names one by one

SegmentStyle = Literal["text", "json", "srt", "vtt"]


class Segment(NamedTuple):
    """A stretch of a recording.

    Attributes:
        start: Its first sample, counted from the recording's beginning at 16 kHz.
        samples: Its samples ``[n]``, mono, 16 kHz.
    """

    start: int
    samples: Samples


@dataclass(frozen=True)
class SegmentCaption:
    """The caption of a segment, or of the whole recording.

    Attributes:
        path: The recording.
        start_s: Where it begins, in seconds.
        end_s: Where it ends, in seconds.
        whole: Whether it is of the whole recording.
        caption: One sentence; of the whole recording one more for the changes of emotion. Empty where there is none.
        emotion: Predicted emotion; None where it is in doubt.
        change: Change of emotion against the segment before, such as "sad to angry"; empty where there is none.
        clues: As of ``Caption``; of the whole those that most of the speech has, whose probability is the share of the
            speech that has them.
        transcript: By the ASR; of the whole all of it.
        warnings: What a reader should know.
        problem: Why there is no caption of this stretch, as a sentence that names file and time; empty where there is
            one.
    """

    path: str
    start_s: float
    end_s: float
    whole: bool = False
    caption: str = ""
    emotion: str | None = None
    change: str = ""
    clues: list[dict[str, Any]] = field(default_factory=list)
    transcript: str = ""
    warnings: list[str] = field(default_factory=list)
    problem: str = ""


Spans = Callable[[Samples], Sequence[tuple[int, int]]]


def cut_at_pauses(windows: Iterable[Samples], spans: Spans) -> Iterator[Segment]:
    """Cut a recording into segments at its pauses.

    A segment ends at the first pause of ``PAUSE_S`` after ``SHORTEST_S``, and at the latest after ``LONGEST_S``. What
    lies between segments is no speech.

    Args:
        windows: The recording's samples at 16 kHz, in parts.
        spans: Function that finds the parts of samples that are speech, as ``find_speech``; it may find none.
    """
    held: Samples = np.zeros(0, np.float32)
    offset, margin = 0, int(MARGIN_S * SAMPLE_RATE)
    for window in chain(windows, [None]):
        last = window is None
        if window is not None:
            held = np.concatenate([held, window])
        groups = _groups(spans(held)) if len(held) else []
        # speech near the end of what is held may go on in the next window
        open_from = len(held) if last else max(0, len(held) - int((PAUSE_S + MARGIN_S) * SAMPLE_RATE))
        whole = [group for group in groups if group[1] <= open_from]
        if not last and whole and whole[-1] is groups[-1] and _seconds(whole[-1]) < SHORTEST_S:
            whole.pop()  # it is short, so it may take in what follows
        stretches = _with_margins(groups, len(held))
        for start, end in stretches[: len(whole)]:
            yield Segment(offset + start, held[start:end])
        given = stretches[len(whole) - 1][1] if whole else 0
        rest = stretches[len(whole)][0] if len(groups) > len(whole) else max(given, open_from - margin)
        held, offset = held[rest:], offset + rest


def _with_margins(groups: Sequence[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """Widen each span of speech by ``MARGIN_S``, but not over the middle of the pause that two of them share."""
    margin = int(MARGIN_S * SAMPLE_RATE)
    middles = [(before[1] + after[0]) // 2 for before, after in pairwise(groups)]
    bounds = zip([0, *middles], [*middles, count], strict=True) if groups else ()
    return [
        (max(first, start - margin), min(last, end + margin))
        for (start, end), (first, last) in zip(groups, bounds, strict=True)
    ]


def _seconds(span: tuple[int, int]) -> float:
    return (span[1] - span[0]) / SAMPLE_RATE


def _groups(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join spans of speech into segments, and cut what is too long."""
    groups: list[tuple[int, int]] = []
    longest = int(LONGEST_S * SAMPLE_RATE)
    for start, end in spans:
        if groups:
            own, until = groups[-1]
            pause = (start - until) / SAMPLE_RATE
            if (end - own) <= longest and (pause < PAUSE_S or _seconds(groups[-1]) < SHORTEST_S):
                groups[-1] = (own, end)
                continue
        while end - start > longest:
            groups.append((start, start + longest))
            start += longest
        groups.append((start, end))
    return groups


def caption_segments(
    captioner: Captioner, reading: Reading, language: str | None = None, max_new_tokens: int = 40, batch_size: int = 16
) -> Iterator[SegmentCaption]:
    """Caption a long recording: its segments in order, then the whole.

    A segment that cannot be captioned comes with its problem in place of a caption. So does the rest of a recording
    that cannot be read to its end, once it has a caption before.

    Args:
        captioner: Captioner.
        reading: Recording of any length, of which nothing is read yet.
        language: ISO 639-1 of the speech; detected for each segment where None.
        max_new_tokens: Maximum length of a caption in tokens.
        batch_size: Number of segments that the LLM captions at once.

    Raises:
        AudioError: The file cannot be read, there is no speech in it, or none of its segments has a caption.
    """
    from aligncap.speech.detector import find_speech

    def spans(samples: Samples) -> Sequence[tuple[int, int]]:
        if float(np.abs(samples).max()) < SILENCE:
            return []
        try:
            return find_speech(samples, captioner.speech)
        except AudioError:
            return []

    path, done_s = reading.name, 0.0
    said: list[SegmentCaption] = []
    failed: list[SegmentCaption] = []
    broken: AudioError | None = None
    segments = cut_at_pauses(resampled(reading.windows()), spans)
    while broken is None:
        batch, broken = _next(segments, batch_size, path)
        if not batch:
            break
        for own in _captions(captioner, path, batch, language, max_new_tokens):
            done_s = own.end_s
            if own.problem:
                failed.append(own)
                yield own
            else:
                said.append(replace(own, change=_change(said, own)))
                yield said[-1]
    if not said:
        without = f"{path}: no speech was found in {reading.seconds:.1f} s of sound; give a recording of a voice"
        raise broken or AudioError(f"{path}: none of its {len(failed)} segments has a caption" if failed else without)
    if broken is not None:
        end_s = max(reading.promised.seconds or 0.0, reading.seconds, done_s)
        where = f"{reading.path}: "  # without the channel that the name may have
        failed.append(_failed(path, done_s, end_s, AudioError(str(broken).removeprefix(where))))
        yield failed[-1]
    cut = reading.cut() if broken is None else ""
    lost = f"{len(failed)} of {len(said) + len(failed)} segments have no caption" if failed else ""
    yield whole(said, max(reading.seconds, done_s), [*filter(None, (cut, lost)), *reading.notes])


def _next(segments: Iterator[Segment], count: int, path: str) -> tuple[list[Segment], AudioError | None]:
    """Return the next segments, and what kept the recording from being read further."""
    batch: list[Segment] = []
    try:
        with fault_of(path):
            for segment in islice(segments, count):
                batch.append(segment)
    except AudioError as error:
        return batch, error
    return batch, None


def _change(said: Sequence[SegmentCaption], own: SegmentCaption) -> str:
    before = next((one.emotion for one in reversed(said) if one.emotion), None)
    changed = before is not None and own.emotion is not None and own.emotion != before
    return f"{before} to {own.emotion}" if changed else ""


def _failed(path: str, start_s: float, end_s: float, error: AudioError) -> SegmentCaption:
    reason = str(error).removeprefix(f"{path}: ")
    problem = f"{path}: {clock(start_s)}-{clock(end_s)}: {reason}"
    return SegmentCaption(path, round(start_s, 2), round(end_s, 2), problem=problem)


def _captions(
    captioner: Captioner, path: str, batch: Sequence[Segment], language: str | None, longest: int
) -> Iterator[SegmentCaption]:
    """Yield the captions of a batch, or the problem of a segment that has none, in order."""
    heard = list(captioner.prepare_each(Recording(segment.samples, language, path) for segment in batch))
    clips = [clip for clip in heard if not isinstance(clip, AudioError)]
    described = iter(captioner.describe_each(clips, longest))
    for segment, clip in zip(batch, heard, strict=True):
        start_s, end_s = segment.start / SAMPLE_RATE, (segment.start + len(segment.samples)) / SAMPLE_RATE
        own = clip if isinstance(clip, AudioError) else next(described)
        if isinstance(own, AudioError):
            yield _failed(path, start_s, end_s, own)
            continue
        yield SegmentCaption(
            path=path,
            start_s=round(start_s, 2),
            end_s=round(end_s, 2),
            caption=own.caption,
            emotion=dominant_emotion([Clue.from_dict(clue) for clue in own.clues]),
            clues=own.clues,
            transcript=own.transcript,
            warnings=own.warnings,
        )


def whole(said: Sequence[SegmentCaption], seconds: float, warnings: Sequence[str] = ()) -> SegmentCaption:
    """Sum up the segments of a recording: the clues that most of its speech has, and where the emotion changes.

    Args:
        said: Its segments, at least one, in order.
        seconds: Length of the recording in seconds.
        warnings: What should be known of the recording itself.
    """
    weights: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for own in said:
        for clue in own.clues:
            weights[clue["kind"]][clue["lemma"]] += own.end_s - own.start_s
    total = sum(own.end_s - own.start_s for own in said)
    clues = [
        Clue(kind, lemma, lemma, probability=round(most / total, 4))
        for kind, lemmas in weights.items()
        for lemma, most in [max(lemmas.items(), key=lambda item: item[1])]
        if most > total / 2 or (kind == "emotion" and most >= total / 3)
    ]
    changes = [f"{own.emotion} from {clock(own.start_s)}" for own in said if own.change]
    first = next((own.emotion for own in said if own.emotion), None)
    caption = template_caption(clues)
    if len(changes) > MOST_CHANGES:
        emotions = list(dict.fromkeys(own.emotion for own in said if own.emotion))
        caption += f" The emotion changes {len(changes)} times: {', '.join(emotions[:-1])} and {emotions[-1]}."
    elif changes:
        caption += f" The emotion changes: {first} at first, then {', '.join(changes)}."
    told = dict.fromkeys([*warnings, *(warning for own in said for warning in own.warnings)])
    return SegmentCaption(
        path=said[0].path,
        start_s=0.0,
        end_s=round(seconds, 2),
        whole=True,
        caption=caption,
        emotion=dominant_emotion(clues),
        clues=[clue.to_dict() for clue in clues],
        transcript=" ".join(own.transcript for own in said if own.transcript),
        warnings=list(told),
    )


def clock(seconds: float, decimals: int = 0, mark: str = ".") -> str:
    """Return a time as ``m:ss``, or as ``hh:mm:ss`` with decimals where these are asked for."""
    count = round(seconds * 10**decimals)
    whole_s, rest = divmod(count, 10**decimals)
    hours, minutes, own = whole_s // 3600, whole_s // 60 % 60, whole_s % 60
    if decimals:
        return f"{hours:02d}:{minutes:02d}:{own:02d}{mark}{rest:0{decimals}d}"
    return f"{hours}:{minutes:02d}:{own:02d}" if hours else f"{minutes}:{own:02d}"


def written(said: Iterable[SegmentCaption], style: SegmentStyle) -> Iterator[str]:
    """Yield the text of each caption: a line, a JSON object, or a cue of SubRip or WebVTT without the whole.

    What has a problem in place of a caption is in JSON alone.
    """
    if style == "vtt":
        yield "WEBVTT\n\n"
    number = 0
    for own in said:
        if style == "json":
            yield json.dumps(asdict(own), ensure_ascii=False) + "\n"
            continue
        if own.problem:
            continue
        text = own.caption + (f" ({own.change})" if own.change else "")
        if style == "text":
            yield f"{own.path} {clock(own.start_s)}-{clock(own.end_s)}{' whole' * own.whole}: {text}\n"
        elif not own.whole:
            number += 1
            mark = "," if style == "srt" else "."
            if style == "vtt":  # which reads these as markup
                text = text.replace("&", "&amp;").replace("<", "&lt;")
            yield f"{number}\n{clock(own.start_s, 3, mark)} --> {clock(own.end_s, 3, mark)}\n{text}\n\n"
