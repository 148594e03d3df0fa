"""Score captions that another model wrote."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Compute, Evaluation
        from aligncap.evaluation.score import score_captions

        score_captions(
            Evaluation(**smk.params.evaluation),
            Compute(**smk.params.compute),
            smk.wildcards.corpus,
            Path(smk.input.references),
            Path(smk.input.prosody),
            Path(smk.input.transcripts),
            Path(smk.input.audio),
            {smk.wildcards.system: Path(smk.input.captions)},
            Path(smk.input.encoder),
            {smk.wildcards.system: Path(smk.output.evaluation)},
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
