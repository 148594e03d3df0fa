"""Score captions of one corpus."""

from pathlib import Path

from aligncap.job import by_name, job, only


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Compute, Evaluation
        from aligncap.evaluation.score import score_captions

        score_captions(
            Evaluation(**smk.params.evaluation),
            Compute(**smk.params.compute),
            smk.wildcards.corpus,
            *map(Path, (smk.input.references, smk.input.prosody, smk.input.transcripts, smk.input.audio)),
            by_name(smk.params.captioned, smk.input.captions),
            Path(smk.input.encoder),
            by_name(smk.params.scored, smk.output.evaluations),
            only(smk.input.opinions),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
