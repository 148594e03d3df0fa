"""Write the report."""

from dataclasses import replace
from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.config import Report
        from aligncap.evaluation.report.inputs import ReportInputs
        from aligncap.evaluation.report.page import write_report

        inputs = replace(given.inputs(ReportInputs), **smk.params.facts)
        write_report(Report(**smk.params.report), inputs, Path(smk.output.html))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
