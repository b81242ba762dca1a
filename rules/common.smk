# The plan answers all that rules ask of the configuration. Whatever is wrong with it is said here, before the first job.
import os
import sys

sys.path.insert(0, os.path.join(workflow.basedir, "src"))

from evidence.errors import BadInput
from evidence import raw
from evidence.workflow import Plan
from snakemake.exceptions import WorkflowError

try:
    plan = Plan(config, workflow.basedir)
    raw.moved(plan)
except BadInput as error:
    raise WorkflowError(str(error)) from None

# Jobs find the package in this checkout and the raw files where the user said; neither is a reason to run again.
shell.prefix(plan.shell_prefix())


wildcard_constraints:
    dataset="|".join(plan.labels("datasets")),
    model="|".join(plan.labels("models")),
    method="|".join(plan.labels("methods")),
    metric="|".join(plan.labels("metrics")),
    paper="|".join(plan.items),
    seed=r"\d+",
    part=r"\d+",
    parts=r"\d+",
