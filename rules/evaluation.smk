"""Captions of the test corpora, their scores and the table."""


rule caption_testset:
    input:
        checkpoint=lambda w: checkpoint_of(w.system),
        llm=model("llm"),
        features="<results>/features/{corpus}.parquet",
        predicted="<results>/clues/{corpus}/predicted.parquet",
    output:
        captions="<results>/captions/{system}/{corpus}.parquet",
    log:
        "<logs>/caption_testset/{system}/{corpus}.log",
    benchmark:
        "<benchmarks>/caption_testset/{system}/{corpus}.tsv"
    wildcard_constraints:
        system=one_of(of_stage("alignment", "preference")),
    conda:
        "../envs/llm.yaml"
    threads: THREADS
    resources:
        gpu=1,
        mem_mb=6000,
        runtime=240,
    params:
        decoding=plain(settings.decoding),
        compute=plain(settings.compute),
        code=digest("caption_testset"),
    script:
        "../workflow_scripts/caption_testset.py"


rule caption_baseline:
    input:
        plan="<results>/plan.parquet",
        references=of_train("<results>/corpora/{corpus}/references.parquet"),
        predicted="<results>/clues/{corpus}/predicted.parquet",
        encoder=model("sentence_encoder"),
    output:
        captions="<results>/captions/{system}/{corpus}.parquet",
    log:
        "<logs>/caption_baseline/{system}/{corpus}.log",
    benchmark:
        "<benchmarks>/caption_baseline/{system}/{corpus}.tsv"
    wildcard_constraints:
        system=one_of(of_stage("constant", "tag_template")),
    conda:
        "../envs/evaluation.yaml"
    threads: THREADS
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        corpora=TRAIN,
        stage=lambda w: STAGES[w.system],
        seed=lambda w: EFFECTIVE[w.system].seed,
        compute=plain(settings.compute),
        code=digest("caption_baseline"),
    script:
        "../workflow_scripts/caption_baseline.py"


rule import_captions:
    input:
        audio="<results>/corpora/{corpus}/audio.parquet",
        source=lambda w: existing(lineage(settings, w.system).captions.get(w.corpus)),
    output:
        captions="<results>/captions/{system}/{corpus}.parquet",
    log:
        "<logs>/import_captions/{system}/{corpus}.log",
    benchmark:
        "<benchmarks>/import_captions/{system}/{corpus}.tsv"
    wildcard_constraints:
        system=one_of(of_stage("external")),
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        source=lambda w: lineage(settings, w.system).captions[w.corpus],
        code=digest("import_captions"),
    script:
        "../workflow_scripts/import_captions.py"


SCORED = [system for system in settings.systems if STAGES[system] != "external"]
CAPTIONED = [system for system in SCORED if STAGES[system] != "chance"]


rule score_captions:
    input:
        references="<results>/corpora/{corpus}/references.parquet",
        prosody="<results>/corpora/{corpus}/prosody.parquet",
        transcripts="<results>/transcripts/{corpus}.parquet",
        audio="<results>/corpora/{corpus}/audio.parquet",
        captions=[f"<results>/captions/{system}/{{corpus}}.parquet" for system in CAPTIONED],
        encoder=model("sentence_encoder"),
    output:
        evaluations=[f"<results>/evaluation/{system}/{{corpus}}.parquet" for system in SCORED],
    log:
        "<logs>/score_captions/{corpus}.log",
    benchmark:
        "<benchmarks>/score_captions/{corpus}.tsv"
    conda:
        "../envs/evaluation.yaml"
    threads: THREADS
    resources:
        java=1,
        mem_mb=5000,
        runtime=120,
    params:
        captioned=CAPTIONED,
        scored=SCORED,
        evaluation=plain(settings.evaluation),
        compute=plain(settings.compute),
        code=digest("score_captions"),
    script:
        "../workflow_scripts/score_captions.py"


rule score_external:
    # By itself: other people's captions may cover some of the test corpora only.
    input:
        references="<results>/corpora/{corpus}/references.parquet",
        prosody="<results>/corpora/{corpus}/prosody.parquet",
        transcripts="<results>/transcripts/{corpus}.parquet",
        audio="<results>/corpora/{corpus}/audio.parquet",
        captions="<results>/captions/{system}/{corpus}.parquet",
        encoder=model("sentence_encoder"),
    output:
        evaluation="<results>/evaluation/{system}/{corpus}.parquet",
    log:
        "<logs>/score_external/{system}/{corpus}.log",
    benchmark:
        "<benchmarks>/score_external/{system}/{corpus}.tsv"
    wildcard_constraints:
        system=one_of(of_stage("external")),
    conda:
        "../envs/evaluation.yaml"
    threads: THREADS
    resources:
        java=1,
        mem_mb=5000,
        runtime=120,
    params:
        evaluation=plain(settings.evaluation),
        compute=plain(settings.compute),
        code=digest("score_external"),
    script:
        "../workflow_scripts/score_external.py"


rule zero_shot_table:
    input:
        evaluations=list(evaluations().values()),
    output:
        parquet="<results>/tables/zero_shot.parquet",
        csv="<results>/tables/zero_shot.csv",
        md="<results>/tables/zero_shot.md",
        tex="<results>/tables/zero_shot.tex",
    log:
        "<logs>/zero_shot_table/zero_shot.log",
    benchmark:
        "<benchmarks>/zero_shot_table/zero_shot.tsv"
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        rows=[list(row) for row in evaluations()],
        marks=MARKS,
        described={s: plain(EFFECTIVE[s], only=set(OVERRIDABLE)) for s in of_stage("alignment", "preference")},
        evaluation=plain(settings.evaluation),
        code=digest("zero_shot_table"),
    script:
        "../workflow_scripts/zero_shot_table.py"
