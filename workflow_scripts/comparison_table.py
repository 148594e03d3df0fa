"""Write one of tables 1 to 4."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.evaluation.tables import ComparisonInputs, ComparisonSettings, TableFiles, write_comparison

        write_comparison(given.settings(ComparisonSettings), given.inputs(ComparisonInputs), given.outputs(TableFiles))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
