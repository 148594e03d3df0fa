"""Write one of tables 1 to 4."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.evaluation.tables import comparison

        comparison.write_comparison(
            given.settings(comparison.ComparisonSettings),
            given.inputs(comparison.ComparisonInputs),
            given.outputs(comparison.TableFiles),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
