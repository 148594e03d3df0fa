"""What the judges that cost something are asked: captions, requests and tokens."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import NamedTuple

from aligncap.config import Judge
from aligncap.evaluation.tables import contents
from aligncap.planning.setting import Setting
from aligncap.preference.judges.local import CAPTIONS
from aligncap.preference.judges.rubric import ASPECTS
from aligncap.systems import corpus_names, judge_named, pairs_name, plain_name

TEST_CAPTIONS = "test captions"


class Asked(NamedTuple):
    """What a judge reads and writes; tokens that are computed once for several captions count once."""

    judge: str
    of: str
    jobs: int
    captions: int
    calls: int  # requests, or packed sequences
    tokens_in: float
    tokens_out: float

    def beside(self, other: Asked) -> Asked:
        """Return what both are together."""
        jobs, captions, calls = self.jobs + other.jobs, self.captions + other.captions, self.calls + other.calls
        tokens = (self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out)
        return Asked(self.judge, self.of, jobs, captions, calls, *tokens)


def asked(setting: Setting) -> list[Asked]:
    """Return what each judge that costs something is asked: of equal captions one is, and how many are is not known."""
    found: dict[tuple[str, str], Asked] = {}
    for own in filter(None, _each(setting)):
        key = (own.judge, own.of)
        had = found.get(key)
        found[key] = own if had is None else own.beside(had)
    return list(found.values())


def _each(setting: Setting) -> Iterator[Asked | None]:
    config = setting.config
    sets = {pairs_name(config, system): system for system in setting.of_stage("preference")}
    for number, (name, system) in enumerate(sets.items()):
        own = setting.resolved(system).preference
        for kind in dict.fromkeys([own.judge.name, *(config.judging.compared if number == 0 else ())]):
            drawn = (own.candidates.utterances, own.candidates.samples)
            yield _asked(setting, judge_named(own.judge, kind), plain_name(name), *drawn)
    systems = len(contents.judged(config))
    if systems and corpus_names(config, "test"):
        judge = judge_named(config.preference.judge, config.judging.captions)
        yield _asked(setting, judge, TEST_CAPTIONS, setting.assumed.test_clips, systems)


def _asked(setting: Setting, judge: Judge, of: str, clips: int, samples: int) -> Asked | None:
    captions, assumed = clips * samples, setting.assumed
    jobs = len(corpus_names(setting.config, "test")) if of == TEST_CAPTIONS else 1
    if judge.name == "openai":
        read = captions * (assumed.judge_tokens + assumed.asked_tokens)
        return Asked(judge.name, of, jobs, captions, captions, read, captions * assumed.answer_tokens)
    if judge.name != "local":
        return None
    groups = clips * ceil(samples / CAPTIONS)
    read = groups * assumed.judge_tokens + captions * len(ASPECTS) * assumed.asked_tokens
    return Asked(judge.name, of, jobs, captions, groups, read, 0.0)
