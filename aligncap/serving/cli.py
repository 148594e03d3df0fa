"""The ``aligncap`` command."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from aligncap.errors import AlignCapError, AudioError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aligncap", description="Speech in, one sentence out that says how it sounds."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    caption = commands.add_parser(
        "caption",
        help="caption audio files",
        epilog="example: aligncap caption --model results/default/checkpoints/aligncap speech.wav",
    )
    caption.add_argument("files", nargs="+", metavar="FILE", help="audio files")
    caption.add_argument("--model", type=Path, default=Path("results/default/checkpoints/aligncap"), metavar="DIR")
    caption.add_argument(
        "--models", type=Path, metavar="DIR", help="base models (default: ALIGNCAP_MODELS, or models/)"
    )
    caption.add_argument("--language", metavar="CODE", help="ISO 639-1 of the speech (default: detected)")
    caption.add_argument("--json", action="store_true", help="one JSON object a line: path, caption, clues, transcript")
    return parser


def _caption(arguments: argparse.Namespace) -> int:
    from aligncap.serving.captioner import Captioner

    captioner = Captioner.load(arguments.model, arguments.models)
    failed = 0
    for path in arguments.files:
        try:
            result = captioner.caption(path, arguments.language)
        except AudioError as error:
            print(f"aligncap: {error}", file=sys.stderr)
            failed += 1
            continue
        print(
            json.dumps(vars(result), ensure_ascii=False) if arguments.json else f"{path}: {result.caption}", flush=True
        )
    return 1 if failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0; 1 where a file could not be captioned (the others are); 2 where nothing could be done.
    """
    parsed = _parser().parse_args(arguments)
    try:
        return _caption(parsed)
    except AlignCapError as error:
        print(f"aligncap: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
