"""Predict the clues of a corpus from speech."""

from pathlib import Path

from aligncap.job import job, only


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.clues.tagger import predict_clues
        from aligncap.config import Prompts, Tagger

        predict_clues(
            Tagger(**smk.params.tagger),
            Prompts(**smk.params.prompts),
            smk.wildcards.corpus,
            smk.params.role,
            Path(smk.input.weights),
            Path(smk.input.features),
            Path(smk.input.transcripts),
            only(smk.input.out_of_fold),
            Path(smk.input.llm),
            Path(smk.output.predicted),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
