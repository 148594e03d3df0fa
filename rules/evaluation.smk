"""Captions of the test corpora, their scores, and the zero-shot table."""


rule probe_metrics:
    # Early, so that a run which requires what is not here ends before it trains.
    output:
        metrics="<results>/metrics.json",
    log:
        "<logs>/probe_metrics/metrics.log",
    benchmark:
        "<benchmarks>/probe_metrics/metrics.tsv"
    priority: 100
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=more(500),
        runtime=more(5),
    params:
        evaluation=plain(settings.evaluation, only={"meteor", "spice"}),
        code=digest("probe_metrics"),
    script:
        "../workflow_scripts/probe_metrics.py"


rule caption_testset:
    input:
        checkpoint=lambda w: checkpoint_of(w.system),
        llm=model("llm"),
        features="<results>/features/{corpus}.parquet",
        predicted="<results>/clues/{corpus}/predicted.parquet",
    output:
        captions=part_of("<results>/captions/{system}/{corpus}.parquet"),
    log:
        in_part("<logs>/caption_testset/{system}/{corpus}.log"),
    benchmark:
        in_part("<benchmarks>/caption_testset/{system}/{corpus}.tsv")
    wildcard_constraints:
        system=one_of(of_stage("alignment", "preference")),
    conda:
        "../envs/llm.yaml"
    threads: THREADS
    resources:
        gpu=gpus(1),
        mem_mb=more(3000),
        runtime=more(240),
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
        mem_mb=more(2000),
        runtime=more(30),
    params:
        corpora=TRAIN,
        stage=lambda w: STAGES[w.system],
        compute=plain(settings.compute),
        code=digest("caption_baseline"),
    script:
        "../workflow_scripts/caption_baseline.py"


rule caption_retrieval:
    input:
        plan="<results>/plan.parquet",
        references=of_train("<results>/corpora/{corpus}/references.parquet"),
        train_features=of_train("<results>/features/{corpus}.parquet"),
        features="<results>/features/{corpus}.parquet",
    output:
        captions="<results>/captions/{system}/{corpus}.parquet",
    log:
        "<logs>/caption_retrieval/{system}/{corpus}.log",
    benchmark:
        "<benchmarks>/caption_retrieval/{system}/{corpus}.tsv"
    wildcard_constraints:
        system=one_of(of_stage("retrieval")),
    conda:
        "../envs/evaluation.yaml"
    threads: THREADS
    resources:
        mem_mb=more(3000),
        runtime=more(30),
    params:
        corpora=TRAIN,
        compute=plain(settings.compute),
        code=digest("caption_retrieval"),
    script:
        "../workflow_scripts/caption_retrieval.py"


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
        mem_mb=more(1000),
        runtime=more(10),
    params:
        source=lambda w: lineage(settings, w.system).captions[w.corpus],
        code=digest("import_captions"),
    script:
        "../workflow_scripts/import_captions.py"


rule train_instrument:
    input:
        plan="<results>/plan.parquet",
        references=of_train("<results>/corpora/{corpus}/references.parquet"),
        llm=model("llm"),
    output:
        weights="<results>/instrument/instrument.safetensors",
        description="<results>/instrument/instrument.json",
    log:
        "<logs>/train_instrument/instrument.log",
    benchmark:
        "<benchmarks>/train_instrument/instrument.tsv"
    conda:
        "../envs/llm.yaml"
    threads: THREADS
    resources:
        gpu=gpus(1),
        mem_mb=more(4000),
        runtime=more(60),
    params:
        corpora=TRAIN,
        seed=settings.seed,
        compute=plain(settings.compute),
        code=digest("train_instrument"),
    script:
        "../workflow_scripts/train_instrument.py"


rule second_opinion:
    input:
        captions=lambda w: captions_of(w.corpus),
        references="<results>/corpora/{corpus}/references.parquet",
        instrument="<results>/instrument/instrument.safetensors",
        llm=model("llm"),
    output:
        opinions="<results>/second_opinions/{corpus}.parquet",
    log:
        "<logs>/second_opinion/{corpus}.log",
    benchmark:
        "<benchmarks>/second_opinion/{corpus}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: THREADS
    resources:
        gpu=gpus(1),
        mem_mb=more(4000),
        runtime=more(60),
    params:
        compute=plain(settings.compute),
        code=digest("second_opinion"),
    script:
        "../workflow_scripts/second_opinion.py"


SCORED = [system for system in settings.systems if STAGES[system] != "external"]
CAPTIONED = [system for system in SCORED if STAGES[system] != "chance"]
SCORED_WITH = {
    "references": "<results>/corpora/{corpus}/references.parquet",
    "prosody": "<results>/corpora/{corpus}/prosody.parquet",
    "timbre": "<results>/corpora/{corpus}/timbre.parquet",
    "transcripts": "<results>/transcripts/{corpus}.parquet",
    "audio": "<results>/corpora/{corpus}/audio.parquet",
    "encoder": model("sentence_encoder"),
    "opinions": ["<results>/second_opinions/{corpus}.parquet"],
    "metrics": "<results>/metrics.json",
}


rule score_captions:
    input:
        **SCORED_WITH,
        captions=[f"<results>/captions/{system}/{{corpus}}.parquet" for system in CAPTIONED],
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
        mem_mb=more(5000 if settings.evaluation.spice == "off" else 11000),
        runtime=more(120),
    params:
        captioned=CAPTIONED,
        scored=SCORED,
        evaluation=plain(settings.evaluation),
        compute=plain(settings.compute),
        code=digest("score_captions"),
    script:
        "../workflow_scripts/score_captions.py"


use rule score_captions as score_external with:
    # By itself: other people's captions may cover some of the test corpora only.
    input:
        **SCORED_WITH,
        captions=["<results>/captions/{system}/{corpus}.parquet"],
    output:
        evaluations=["<results>/evaluation/{system}/{corpus}.parquet"],
    log:
        "<logs>/score_external/{system}/{corpus}.log",
    benchmark:
        "<benchmarks>/score_external/{system}/{corpus}.tsv"
    wildcard_constraints:
        system=one_of(of_stage("external")),
    params:
        captioned=lambda w: [w.system],
        scored=lambda w: [w.system],


rule zero_shot_table:
    input:
        evaluations=list(evaluations().values()),
    output:
        parquet="<results>/tables/zero_shot.parquet",
        csv=report("<results>/tables/zero_shot.csv", caption="../report/zero_shot.rst", category="Tables"),
        md="<results>/tables/zero_shot.md",
        tex="<results>/tables/zero_shot.tex",
    log:
        "<logs>/zero_shot_table/zero_shot.log",
    benchmark:
        "<benchmarks>/zero_shot_table/zero_shot.tsv"
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=more(1500),
        runtime=more(30),
    params:
        rows=[list(row) for row in evaluations()],
        members=MEMBERS,
        marks=contents.marks(settings),
        evaluation=plain(settings.evaluation),
        code=digest("zero_shot_table"),
    script:
        "../workflow_scripts/zero_shot_table.py"


rule parser_table:
    input:
        references=[f"<results>/corpora/{corpus}/references.parquet" for corpus in HUMAN],
    output:
        parquet="<results>/tables/parser.parquet",
        md="<results>/tables/parser.md",
    log:
        "<logs>/parser_table/parser.log",
    benchmark:
        "<benchmarks>/parser_table/parser.tsv"
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=more(1500),
        runtime=more(30),
    params:
        corpora=HUMAN,
        evaluation=plain(settings.evaluation, only={"bootstrap", "seed"}),
        code=digest("parser_table"),
    script:
        "../workflow_scripts/parser_table.py"


rule listeners_table:
    # Scoring: it reads what people wrote of the test corpora.
    input:
        references=[f"<results>/corpora/{corpus}/references.parquet" for corpus in HUMAN],
        gold=[f"<results>/clues/{corpus}/gold.parquet" for corpus in HUMAN],
        prosody=[f"<results>/corpora/{corpus}/prosody.parquet" for corpus in HUMAN],
    output:
        parquet="<results>/tables/listeners.parquet",
        md="<results>/tables/listeners.md",
    log:
        "<logs>/listeners_table/listeners.log",
    benchmark:
        "<benchmarks>/listeners_table/listeners.tsv"
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=more(1500),
        runtime=more(30),
    params:
        corpora=HUMAN,
        evaluation=plain(settings.evaluation, only={"bootstrap", "seed"}),
        code=digest("listeners_table"),
    script:
        "../workflow_scripts/listeners_table.py"
