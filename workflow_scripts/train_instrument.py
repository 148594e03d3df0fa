"""Train the second instrument on the reference captions of the training corpora."""

from pathlib import Path

from aligncap.job import by_name, job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Compute
        from aligncap.evaluation.second_instrument import train_instrument

        train_instrument(
            Compute(**smk.params.compute),
            smk.params.seed,
            Path(smk.input.plan),
            by_name(smk.params.corpora, smk.input.references),
            Path(smk.input.llm),
            Path(smk.output.weights),
            Path(smk.output.description),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
