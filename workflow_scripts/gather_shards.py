"""Gather the parts that the shards of a stage have made."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk):
        from aligncap.artifacts import gather

        gather([Path(part) for part in smk.input.parts], Path(smk.output.artifact))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
