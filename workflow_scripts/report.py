"""Write the report."""

from pathlib import Path

from aligncap.job import by_name, job, only


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Report
        from aligncap.evaluation.report import ReportInputs, write_report

        params, files, out = smk.params, smk.input, Path(smk.output.html)
        inputs = ReportInputs(
            table=Path(files.table),
            snapshot=Path(files.snapshot),
            rule_graph=Path(files.rule_graph),
            claims=only(files.claims),
            reliance=Path(files.reliance),
            out_of_fold=Path(files.out_of_fold),
            evaluations=by_name([tuple(row) for row in params.rows], files.evaluations),
            **{name: by_name(params.names[name], getattr(files, name)) for name in params.names},
            **params.facts,
            benchmarks=sorted((out.parent / "benchmarks").rglob("*.tsv")),
        )
        write_report(Report(**params.report), inputs, out)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
