# Where in an image is the class? From raw images to the tables and figures of four papers.
#
#   snakemake                                      the quick scale (config.yaml), with profiles/default
#   snakemake --configfile scales/paper.yaml       the papers' own size
#   snakemake -n                                   what would be done, and why
from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


pathvars:
    results=f"results/{config['scale']}",
    resources="data",
    logs=f"logs/{config['scale']}",


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/explain.smk"
include: "rules/papers.smk"


rule all:
    default_target: True
    input:
        plan.pages(),
        f"{plan.results}/report.html",


onerror:
    # the last lines of each failed job's log, which say what to do
    shell(r"""sed -n "s/^Command .*&> \([^']*\)'.*/\1/p" {log} | sort -u | xargs -r tail -v -n 3 >&2""")
