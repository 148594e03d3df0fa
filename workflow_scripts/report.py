"""Write the report."""

from pathlib import Path

from aligncap.job import by_name, job, only

FILES = ("table", "snapshot", "out_of_fold", "reliance")


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Report
        from aligncap.evaluation.report import ReportInputs, write_report

        params, files, out = smk.params, smk.input, Path(smk.output.html)
        inputs = ReportInputs(
            **{name: Path(getattr(files, name)) for name in FILES},
            claims=only(files.claims),
            evaluations=by_name([tuple(row) for row in params.rows], files.evaluations),
            **{name: by_name(params.names[name], getattr(files, name)) for name in params.names},
            **params.facts,
        )
        write_report(Report(**params.report), inputs, out)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
