"""Predict the clues of a corpus from speech."""

from pathlib import Path

from aligncap.job import job, only


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.clues.tagger.model import predict_clues
        from aligncap.config import Prompts, Tagger

        files = smk.input
        predict_clues(
            Tagger(**smk.params.tagger),
            Prompts(**smk.params.prompts),
            smk.wildcards.corpus,
            smk.params.role,
            *map(Path, (files.weights, files.features, files.prosody, files.audio, files.transcripts)),
            only(files.out_of_fold),
            Path(files.llm),
            only(files.encoder),
            Path(smk.output.predicted),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
