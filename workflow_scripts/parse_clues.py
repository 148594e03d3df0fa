"""Parse the clues of reference captions."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk):
        from aligncap.clues.prompts import write_gold_clues
        from aligncap.config import Prompts

        write_gold_clues(
            Prompts(**smk.params.prompts),
            Path(smk.input.references),
            Path(smk.input.transcripts),
            Path(smk.input.llm),
            Path(smk.output.gold),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
