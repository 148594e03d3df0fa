"""Keep some dev utterances of a training corpus."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.evaluation.in_domain import write_devset

        files = (smk.input.plan, smk.input.references, smk.input.predicted, *smk.output)
        write_devset(smk.params.limit, smk.wildcards.corpus, *map(Path, files))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
