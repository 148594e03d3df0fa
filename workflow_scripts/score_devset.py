"""Score captions of dev utterances of a training corpus."""

from pathlib import Path

from aligncap.job import by_name, job


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
            by_name(smk.params.systems, smk.input.captions),
            Path(smk.input.encoder),
            by_name(smk.params.systems, smk.output.evaluations),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
