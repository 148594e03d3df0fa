"""Score the captions of all systems on one test corpus."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.evaluation.score import Evaluations, ScoringInputs, ScoringSettings, score_captions

        score_captions(given.settings(ScoringSettings), given.inputs(ScoringInputs), given.outputs(Evaluations))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
