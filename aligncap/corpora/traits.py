"""What an adapter declares of its corpus, beside how it is read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Traits:
    """Facts about a corpus that rules, tables, report and model card ask for; they are the adapter's to know.

    Attributes:
        licence: under which its recordings are published, in words; whoever shows or passes one on must know it.
            Empty where the adapter cannot know.
        hub_licence: how the Hugging Face hub names it where it binds weights; empty where the hub has no name for it.
        transcribed: every clip has a transcript of its own, so that a training corpus needs no ASR.
        synthetic: computer-made speech.
        captions_by_people: its captions, where it has some, were written by people who listened.
        one_data_set: it reads one published data set, so that two corpora of it are parts of the same.
    """

    licence: str = ""
    hub_licence: str = ""
    transcribed: bool = False
    synthetic: bool = False
    captions_by_people: bool = True
    one_data_set: bool = True
