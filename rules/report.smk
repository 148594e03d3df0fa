"""Report and provenance."""


rule snapshot:
    output:
        snapshot="<results>/run.json",
    log:
        "<logs>/snapshot/run.log",
    benchmark:
        "<benchmarks>/snapshot/run.tsv"
    priority: 100
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=500,
        runtime=5,
    params:
        config={name: value for name, value in plain(settings).items() if name != "tracking"},
        code=digest("snapshot"),
    script:
        "../workflow_scripts/snapshot.py"


rule report:
    input:
        table="<results>/tables/zero_shot.parquet",
        snapshot="<results>/run.json",
        evaluations=list(evaluations().values()),
        references=of_test("<results>/corpora/{corpus}/references.parquet"),
        transcripts=of_test("<results>/transcripts/{corpus}.parquet"),
        predicted=of_test("<results>/clues/{corpus}/predicted.parquet"),
        training=list(training_logs().values()),
        out_of_fold="<results>/tagger/out_of_fold.parquet",
        pairs=[f"<results>/preference_pairs/{name}.parquet" for name in PAIRS],
        tables=[f"<results>/tables/{table}.parquet" for table in TABLES],
        tests=[f"<results>/tables/{table}_tests.parquet" for table in TABLES],
        figures=[f"<results>/figures/{figure}.svg" for figure in FIGURES],
        claims=["<results>/tables/claims.parquet"] if CLAIMS else [],
    output:
        html="<results>/report.html",
    log:
        "<logs>/report/report.log",
    benchmark:
        "<benchmarks>/report/report.tsv"
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        rows=[list(row) for row in evaluations()],
        corpora=TEST,
        training=list(training_logs()),
        pairs=list(PAIRS),
        tables=TABLES,
        figures=FIGURES,
        synthetic=[corpus for corpus in TEST if settings.corpora[corpus].adapter == "synthetic"],
        report=plain(settings.report),
        code=digest("report"),
    script:
        "../workflow_scripts/report.py"
