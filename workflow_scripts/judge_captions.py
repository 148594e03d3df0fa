"""Let a judge score every system's captions of one test corpus."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.config import Compute, Judge
        from aligncap.preference.judges import CaptionScoringInputs, Judged, score_captions_of

        judge, compute = Judge(**smk.params.judge), Compute(**smk.params.compute)
        score_captions_of(
            smk.wildcards.corpus, judge, compute, given.inputs(CaptionScoringInputs), given.outputs(Judged)
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
