"""Warm-start an adapter on the clue tags, without an LLM."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.alignment.warm_start import WarmAdapter, WarmStartInputs, WarmStartSettings, warm_start
        from aligncap.training.processes import call

        files = given.inputs(WarmStartInputs), given.outputs(WarmAdapter)
        call(given, warm_start, given.settings(WarmStartSettings), *files)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
