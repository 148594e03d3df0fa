"""The command ``aligncap parse``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from aligncap.serving.commands.terminal import JsonOption, print_json, stdout, table


def parse(
    captions: Annotated[
        list[str] | None, typer.Argument(metavar="CAPTION...", help="Captions; without any, or -, lines of stdin.")
    ] = None,
    language: Annotated[str, typer.Option(metavar="CODE", help="en; zh with the plugin aligncap-zh.")] = "en",
    as_json: JsonOption = False,
) -> None:
    """Parse the clues of a caption: emotions, voice, intensity, negation.

    Examples:
      aligncap parse "He is not at all angry, just a little sad, with a trembling voice."
      cut -f2 captions.tsv | aligncap parse --json
    """
    from aligncap.clues.parser.grammar import dominant_emotion, parse_many

    texts = [line.rstrip("\n") for line in sys.stdin] if not captions or captions == ["-"] else captions
    found = parse_many(texts, language)
    if as_json:
        print_json(
            [
                {"caption": text, "dominant_emotion": dominant_emotion(clues), "clues": [c.to_dict() for c in clues]}
                for text, clues in zip(texts, found, strict=True)
            ]
        )
        return
    console = stdout()
    for text, clues in zip(texts, found, strict=True):
        console.print(f"{text}\ndominant emotion: {dominant_emotion(clues) or 'none'}")
        if clues:
            rows = table("kind", "value", "words", "intensity", "negated")
            for clue in clues:
                rows.add_row(clue.kind, clue.lemma, clue.word, clue.intensity, "yes" if clue.negated else "")
            console.print(rows)
        console.print()
