"""Read descriptions of voices without sound."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk):
        from aligncap.alignment.descriptions import write_descriptions

        write_descriptions([Path(file) for file in smk.input.files], Path(smk.output.descriptions))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
