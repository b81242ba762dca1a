# Tables, figures, claims and the page of a paper. What a paper's file says of an item is a parameter, so that a new caption or
# published number makes that item again and nothing else.
rule table:
    input:
        scores=lambda w: plan.scores(w.paper, w.table),
        code=lambda w: plan.code("tabulate"),
    output:
        csv="<results>/papers/{paper}/{table}.csv",
        md="<results>/papers/{paper}/{table}.md",
    log:
        "<logs>/papers/{paper}/{table}.log",
    wildcard_constraints:
        table=plan.pattern("tables"),
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        spec=lambda w: plan.spec(w.paper, w.table),
        flags=lambda w: plan.score_flags(w.paper, w.table),
    shell:
        "python scripts/tabulate.py papers/{wildcards.paper}.yaml {wildcards.table} {params.flags}"
        " --scores {input.scores} --csv {output.csv} --md {output.md} &> {log}"


rule claims:
    input:
        scores=lambda w: plan.scores(w.paper),
        code=lambda w: plan.code("judge"),
    output:
        csv="<results>/papers/{paper}/claims.csv",
        md="<results>/papers/{paper}/claims.md",
    log:
        "<logs>/papers/{paper}/claims.log",
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        spec=lambda w: plan.claims_spec(w.paper),
        names=lambda w: plan.claims(w.paper),
        flags=lambda w: plan.score_flags(w.paper),
    shell:
        "python scripts/judge.py papers/{wildcards.paper}.yaml {params.names} {params.flags}"
        " --scores {input.scores} --csv {output.csv} --md {output.md} &> {log}"


rule figure:
    input:
        unpack(lambda w: plan.figure(w.paper, w.figure).files()),
        images=lambda w: plan.figure(w.paper, w.figure).data("images.npy"),
        truth=lambda w: plan.figure(w.paper, w.figure).data("truth.npy"),
        index=lambda w: plan.figure(w.paper, w.figure).data("explained.parquet"),
        code=lambda w: plan.code("draw", "figures", plan.figure(w.paper, w.figure).kind),
    output:
        pdf="<results>/papers/{paper}/{figure}.pdf",
        png="<results>/papers/{paper}/{figure}.png",
    log:
        "<logs>/papers/{paper}/{figure}.log",
    wildcard_constraints:
        figure=plan.pattern("figures"),
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        spec=lambda w: plan.spec(w.paper, w.figure),
        flags=lambda w: plan.figure(w.paper, w.figure).flags(),
    shell:
        "python scripts/draw.py {params.flags} --images {input.images} --truth {input.truth} --index {input.index}"
        " --pdf {output.pdf} --png {output.png} &> {log}"


rule page:
    input:
        unpack(lambda w: plan.ingredients(w.paper)),
        tables=lambda w: plan.table_files(w.paper),
        figures=lambda w: plan.picture_files(w.paper),
        claims=lambda w: plan.claim_files(w.paper),
        code=lambda w: plan.code("compose"),
    output:
        page="<results>/papers/{paper}/page.md",
    log:
        "<logs>/papers/{paper}/page.log",
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        spec=lambda w: plan.spec(w.paper),
        scale=plan.scale,
    shell:
        "python scripts/compose.py papers/{wildcards.paper}.yaml --scale {params.scale} --tables {input.tables}"
        " --figures {input.figures} --claims {input.claims} --facts {input.facts} --weights {input.weights} --samples {input.samples}"
        " --page {output.page} &> {log}"


rule report:
    input:
        pages=plan.pages(),
        template="scripts/report.html.jinja",
        code=plan.code("report"),
    output:
        html="<results>/report.html",
    log:
        "<logs>/report.log",
    localrule: True
    conda:
        "../envs/cpu.yaml"
    params:
        scale=plan.scale,
    shell:
        "python scripts/report.py --pages {input.pages} --scale {params.scale} --html {output.html} &> {log}"
