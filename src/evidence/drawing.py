"""A figure of a paper, as the plan sees it: what it is drawn from, as files and as flags."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evidence import checks, signatures
from evidence.errors import BadInput
from evidence.pages import Cell

HEADINGS = {"healed", "pictures", "worst"}  # options that name methods by their headings

Given = tuple[str, str]  # a heading, and the file that it stands for: ``path#map`` where a method has several maps


@dataclass(frozen=True)
class Figure:
    """What a paper's file says of a figure, and the plan that knows where things are."""

    plan: Any  # a workflow.Plan, which makes it
    spec: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return self.spec["kind"]

    @property
    def dataset(self) -> str:
        return self.spec["dataset"]

    def data(self, name: str) -> str:
        return f"{self.plan.results}/{self.dataset}/data/{name}"

    def files(self) -> dict[str, list[str]]:
        """The maps that it shows, of the first seed; and of all seeds scores, where it has a metric, and histories."""
        maps = [path.partition("#")[0] for _, path in self.maps()]
        return {
            "maps": maps,
            "samples": [str(Path(path).with_name("samples.parquet")) for path in maps],
            "scores": [*dict.fromkeys(path.partition("#")[0] for _, path in self.scores())],
            "histories": [path for _, path in self.histories()],
        }

    def flags(self) -> str:
        """Its command line, after what is common to all figures."""
        words = [self.kind, *signatures.flags(self.spec.get("options", {}))]
        for flag, given in (("--maps", self.maps()), ("--scores", self.scores()), ("--histories", self.histories())):
            words += [flag, *(shlex.quote(f"{heading}={path}") for heading, path in given)] if given else []
        return " ".join(words)

    def maps(self) -> list[Given]:
        if not self.shows("maps"):
            return []
        return [
            (cell.row, self.plan.map_given(cell.method, cell.dataset, self.plan.cell_seeds(cell)[0]))
            for cell in self.cells()
        ]

    def scores(self) -> list[Given]:
        """Where it shows maps too, and scores are of the method as a whole, they are given once, under its label."""
        if "metric" not in self.spec:
            return []
        cells = self.cells()
        if self.shows("maps") and self.plan.of_whole(self.spec["metric"]):
            labels = dict.fromkeys(cell.method.partition(".")[0] for cell in cells)
            cells = self.cells({label: label for label in labels})
        return [
            (cell.row, cell.scores(self.plan.results, seed) + (f"#{cell.map}" if cell.map else ""))
            for cell in cells
            for seed in self.plan.cell_seeds(cell)
        ]

    def histories(self) -> list[Given]:
        return [
            (heading, f"{self.plan.results}/{self.dataset}/models/{label}/seed{seed}/history.parquet")
            for heading, label in self.spec.get("models", {}).items()
            for seed in self.plan.seeds_of(self.dataset, "models", label)
        ]

    def cells(self, methods: Mapping[str, str] | None = None) -> list[Cell]:
        """Its methods, their headings as rows; the metric is empty where it has none."""
        methods = self.spec.get("methods", {}) if methods is None else methods
        metric = self.spec.get("metric", "")
        return [Cell(heading, "", self.dataset, metric, label, "") for heading, label in methods.items()]

    def asked(self) -> Iterator[tuple[str, str, str, list[int]]]:
        """Dataset, section, label and seeds of all that it shows."""
        for cell in self.cells():
            seeds = self.plan.cell_seeds(cell)
            yield self.dataset, "methods", cell.method, seeds if cell.metric else seeds[:1]
            if cell.metric:
                yield self.dataset, "metrics", cell.metric, seeds
        for label in self.spec.get("models", {}).values():
            yield self.dataset, "models", label, self.plan.seeds_of(self.dataset, "models", label)

    def shown(self) -> Iterator[tuple[str, str]]:
        """Each of its methods, and the metric by which, none where it shows maps."""
        for cell in self.cells():
            if of_maps := self.shows("maps"):
                yield cell.method, ""
            if cell.metric:
                once = of_maps and self.plan.of_whole(cell.metric)
                yield cell.method.partition(".")[0] if once else cell.method, cell.metric

    def shows(self, what: str) -> bool:
        """Whether it is of maps, or scores, as its kind's signature says."""
        return what in signatures.signature("figures", self.kind).positional

    def check(self, where: str) -> None:
        """Refuse options that its kind does not take, a metric that it does not show, and scores of none."""
        options, signature = self.spec.get("options", {}), signatures.signature("figures", self.kind)
        for key in options:
            checks.known(f"{where}.options", key, signature.options)
        signature.check(f"{where}.options", options)
        for key in HEADINGS & options.keys():
            headings = options[key] if isinstance(options[key], list) else [options[key]]
            for heading in (str(each) for each in headings if each != ""):
                checks.known(f"{where}.options.{key}, among the methods", heading, self.spec.get("methods", {}))
        if "metric" in self.spec and not self.shows("scores"):
            raise BadInput(f"{where}: a {self.kind} shows no scores; leave out the metric, {self.spec['metric']!r}")
        if "metric" not in self.spec and self.shows("scores") and not self.shows("maps"):
            raise BadInput(f"{where}: a {self.kind} shows scores; name the metric")
