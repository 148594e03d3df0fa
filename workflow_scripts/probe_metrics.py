"""Check which metrics are available here, before anything is trained."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk):
        from aligncap.config import Evaluation
        from aligncap.evaluation.probe import probe_metrics

        probe_metrics(Evaluation(**smk.params.evaluation), Path(smk.output.metrics))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
