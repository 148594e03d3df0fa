"""The traits that an adapter declares of its corpus, besides how it is read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Traits:
    """Facts about a corpus that the adapter knows and that rules, tables, report and model card need.

    Attributes:
        licence: Licence of its recordings, in words, for everybody who shows them or passes them on. Empty where the
            adapter cannot know it.
        hub_licence: Name of that licence on the Hugging Face hub where it binds weights; empty where the hub has none.
        level_normalised: Whether its clips were brought to one level, so that nothing tells how loud a voice was.
        synthetic: Whether it is synthetic speech.
        captions_by_people: Whether its captions, if any, were written by people who listened.
        one_data_set: Whether it reads one published data set, so that two corpora of it are parts of the same.
    """

    licence: str = ""
    hub_licence: str = ""
    level_normalised: bool = False
    synthetic: bool = False
    captions_by_people: bool = True
    one_data_set: bool = True
