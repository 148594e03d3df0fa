"""Fit the LLM to captioning on text input."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.alignment.teacher import AdaptationInputs, AdaptationSettings, AdaptedTeacher, adapt_teacher
        from aligncap.training.processes import call

        files = given.inputs(AdaptationInputs), given.outputs(AdaptedTeacher)
        call(given, adapt_teacher, given.settings(AdaptationSettings), *files)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
