"""The report, and the snapshot of the experiment's provenance."""


rule snapshot:
    input:
        existing(*named_files(plain(settings))),  # whose digests it writes down
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
        mem_mb=more(500),
        runtime=more(5),
    params:
        config={name: value for name, value in plain(settings).items() if name not in ("shards", "tracking")},
        code=digest("snapshot"),
        others=DIGESTS,  # the commit that is written down is that of the code which made the rest
    script:
        "../workflow_scripts/snapshot.py"


rule report:
    input:
        references=of_test("<results>/corpora/{corpus}/references.parquet"),
        transcripts=of_test("<results>/transcripts/{corpus}.parquet"),
        predicted=of_test("<results>/clues/{corpus}/predicted.parquet"),
        audio=of_test("<results>/corpora/{corpus}/audio.parquet"),
        training=list(training_logs().values()),
        tables=[f"<results>/tables/{table}.parquet" for table in TABLES],
        tests=[f"<results>/tables/{table}_tests.parquet" for table in TABLES],
        figures=[f"<results>/figures/{figure}.svg" for figure in FIGURES],
        table="<results>/tables/zero_shot.parquet",
        snapshot="<results>/run.json",
        evaluations=list(evaluations().values()),
        claims=["<results>/tables/claims.parquet"] if CLAIMS else [],
        reliance="<results>/tables/tag_reliance.parquet",
        assertions="<results>/tables/assertions.parquet",
    output:
        html=report("<results>/report.html", caption="../report/report.rst", category="Report"),
    log:
        "<logs>/report/report.log",
    benchmark:
        "<benchmarks>/report/report.tsv"
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=more(2000),
        runtime=more(30),
    params:
        rows=[list(row) for row in evaluations()],
        test=TEST,
        trained=list(training_logs()),
        tables=TABLES,
        figures=FIGURES,
        facts={
            "stages": {system: stage for system, stage in STAGES.items() if system == plain_name(system)},
            "licences": {c: licence_of(c, settings.corpora[c].adapter, settings.corpora[c].licence) for c in TEST},
            "synthetic": [corpus for corpus in TEST if traits_of(settings.corpora[corpus].adapter).synthetic],
        },
        report=plain(settings.report),
        code=digest("report"),
    script:
        "../workflow_scripts/report.py"
