"""The plan: what the rules ask of the configuration. Standard library and yaml, no torch, so that a dry run is quick.

An entry of the configuration has a *label* (its key, a folder in results), a *kind* (the module that implements it; the
label if not said), *needs* (role → label of a model, perhaps ``label.network``), and hyperparameters. All names are
checked here, before the first job: those of kinds, roles and hyperparameters against the sources themselves.
"""

import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evidence import checks, pages, raw, sources
from evidence.errors import BadInput


class Plan:
    """A checked configuration.

    Args:
        config: as Snakemake hands it over, overlays merged.
        root: the folder of the checkout, in which all paths are relative.

    Raises:
        BadInput: where the configuration names something that is not there, before anything runs.
    """

    def __init__(self, config: Mapping[str, Any], root: Path | str = "."):
        self.config, self.root = config, Path(root)
        checks.configuration(config)
        self.scale = str(config["scale"])
        self.seeds = checks.seeds(config["seeds"])
        self.items = self._check_papers()

    @property
    def results(self) -> str:
        return f"results/{self.scale}"

    # --- entries ------------------------------------------------------------------------------------------------------

    def entry(self, section: str, label: str) -> dict[str, Any]:
        """What the configuration says of a label; a label it does not know is refused with the near miss."""
        entries = self.config[section]
        checks.known(f"{section} of the scale {self.scale!r}", label, entries)
        return entries[label] or {}

    def labels(self, section: str) -> list[str]:
        return sorted(self.config[section])

    def kind(self, section: str, label: str) -> str:
        return self.entry(section, label).get("kind", label)

    def needs(self, section: str, label: str) -> dict[str, str]:
        """Role → reference to a model, ``label`` or ``label.network``."""
        return self.entry(section, label).get("needs", {})

    def source(self, dataset: str) -> str:
        return self.entry("datasets", dataset).get("source", "real")

    def parts(self, dataset: str) -> int:
        return int(self.entry("datasets", dataset).get("parts", 1))

    def resource(self, dataset: str, name: str, default: int) -> int:
        """A need of the jobs of a dataset (mem_mb, runtime); never a reason to run again."""
        return self.entry("datasets", dataset).get("resources", {}).get(name, default)

    def options(self, section: str, label: str, *, dataset: str = "", function: str = "") -> str:
        """The hyperparameters of an entry as flags, in alphabetical order, so that reordering YAML changes nothing.

        For a dataset, those that ``function`` takes; for a model, what the dataset says of it is merged over.
        """
        settings = {k: v for k, v in self.entry(section, label).items() if k not in checks.STRUCTURE[section]}
        if section == "datasets":
            takes = checks.dataset_options(self.kind("datasets", label))[function]
            settings = {k: v for k, v in settings.items() if k in takes}
        elif dataset:
            settings |= self.entry("datasets", dataset).get(label, {})
        return " ".join([self.kind(section, label), *_flags(settings)] if function != "settings" else _flags(settings))

    # --- files --------------------------------------------------------------------------------------------------------

    def manifest(self, dataset: str) -> str:
        """Where the raw files of a dataset are listed. Each scale has its own list, so that scales never disturb each
        other; the files themselves are where they are."""
        folder = "fetched" if self.source(dataset) == "real" else "simulated"
        return f"{self.results}/{dataset}/{folder}/manifest.csv"

    def dataset_settings(self, dataset: str) -> str:
        """Kind and hyperparameters of a dataset, for its facts on a page."""
        entry = self.entry("datasets", dataset)
        kept = {
            key: value
            for key, value in entry.items()
            if key not in {*checks.STRUCTURE["datasets"], *self.config["models"]}
        }
        return shlex.quote(json.dumps({"kind": self.kind("datasets", dataset), **kept}, sort_keys=True))

    def weights(self, section: str, label: str, dataset: str, seed: str | int) -> list[str]:
        """The files of weights that an entry reads, one for each model."""
        models = {reference.partition(".")[0] for reference in self.needs(section, label).values()}
        return [self.weights_of(model, dataset, seed) for model in sorted(models)]

    def weights_of(self, model: str, dataset: str, seed: str | int) -> str:
        return f"{self.results}/{dataset}/models/{model}/seed{seed}/weights.safetensors"

    def given(self, section: str, label: str, dataset: str, seed: str | int) -> str:
        """The weights as flags: ``--classifier …/weights.safetensors --generator …/weights.safetensors#average``."""
        flags = {}
        for role, reference in self.needs(section, label).items():
            model, _, network = reference.partition(".")
            path = self.weights_of(model, dataset, seed)
            flags[role] = f"{path}#{network}" if network else path
        return " ".join(_flags(flags))

    def code(self, script: str, folder: str = "", kind: str = "") -> list[str]:
        """The source files a job depends on: its script, its module, and all of ours that they import."""
        return [str(path) for path in sorted(sources.closure(tuple(sources.of_job(script, folder, kind)), self.root))]

    def part_files(self, dataset: str) -> list[str]:
        n = self.parts(dataset)
        return [f"{self.results}/{dataset}/data/parts/{i}of{n}.npz" for i in range(n)]

    def shell_prefix(self) -> str:
        """What stands before every job's command; Snakemake does not count it as a change.

        OpenMP's threads wait awake for a moment only, unless the user says otherwise: where others use the machine too,
        threads that spin at every barrier make a training several times slower.
        """
        spin = os.environ.get("GOMP_SPINCOUNT", "1000")
        exports = {"PYTHONPATH": str((self.root / "src").resolve()), "GOMP_SPINCOUNT": spin, **self.environment()}
        words = " ".join(f"{name}={shlex.quote(value)}" for name, value in exports.items())
        return f"set -euo pipefail; export {words}; "

    def environment(self) -> dict[str, str]:
        """Where raw files are, for the jobs; from ``raw`` in the configuration, which is no trigger."""
        said = self.config.get("raw") or {}
        real = [label for label in self.labels("datasets") if self.source(label) == "real"]
        folders = said if isinstance(said, Mapping) else dict.fromkeys(real, said)
        for label in folders:
            checks.known("raw", label, real)
        return {raw.variable(label): str(path) for label, path in folders.items()}

    # --- papers -------------------------------------------------------------------------------------------------------

    def paper(self, name: str) -> dict[str, Any]:
        return pages.load(str(self.root / "papers" / f"{name}.yaml"))

    def pages(self) -> list[str]:
        return [f"{self.results}/papers/{paper}/page.md" for paper in self.items]

    def spec(self, paper: str, item: str = "") -> str:
        """What a paper's file says of one item, or of the paper itself; a change of it makes that again."""
        content = self.paper(paper)
        if item:
            shown = {**content["tables"], **content["figures"]}[item]
            inside = item in content["tables"]  # a table holds its caption; a figure's stands on the page
            chosen = {key: value for key, value in shown.items() if inside or key != "caption"}
        else:
            captions = {name: content["figures"][name].get("caption") for name in self.figures(paper)}
            chosen = {"captions": captions, **{key: content.get(key) for key in ("title", "reference", "notes")}}
        return json.dumps(chosen, sort_keys=True, ensure_ascii=False)

    def tables(self, paper: str) -> list[str]:
        return [item for item in self.items[paper] if item in self.paper(paper)["tables"]]

    def figures(self, paper: str) -> list[str]:
        return [item for item in self.items[paper] if item in self.paper(paper)["figures"]]

    def table_scores(self, paper: str, table: str) -> list[str]:
        """The scores that a table is made of."""
        cells = pages.cells(self.paper(paper)["tables"][table])
        return _unique(cell.scores(self.results, seed) for cell in cells for seed in self.seeds)

    def table_flags(self, paper: str, table: str) -> str:
        """Where a table's scores are, which seeds they have, and where each dataset's images come from."""
        datasets = sorted({cell.dataset for cell in pages.cells(self.paper(paper)["tables"][table])})
        origins = " ".join(f"{dataset}={self.source(dataset)}" for dataset in datasets)
        seeds = " ".join(map(str, self.seeds))
        return f"--results {self.results} --seeds {seeds} --scale {self.scale} --sources {origins}"

    def table_files(self, paper: str) -> list[str]:
        return [f"{self.results}/papers/{paper}/{table}.{end}" for table in self.tables(paper) for end in ("csv", "md")]

    def picture_files(self, paper: str) -> list[str]:
        return [f"{self.results}/papers/{paper}/{figure}.png" for figure in self.figures(paper)]

    def pattern(self, kind: str) -> str:
        """A regular expression for the names of all tables, or figures, of the papers asked for."""
        return "|".join(_unique(name for paper in self.items for name in self.paper(paper)[kind])) or "none"

    def figure_kind(self, paper: str, figure: str) -> str:
        return self.paper(paper)["figures"][figure]["kind"]

    def figure_data(self, paper: str, figure: str, name: str) -> str:
        return f"{self.results}/{self.paper(paper)['figures'][figure]['dataset']}/data/{name}"

    def figure_files(self, paper: str, figure: str) -> dict[str, list[str]]:
        """The maps (of the first seed) and histories (of all seeds) that a figure shows."""
        spec, results = self.paper(paper)["figures"][figure], self.results
        folder = f"{results}/{spec['dataset']}"
        return {
            "maps": [
                f"{folder}/maps/{label}/seed{self.seeds[0]}/maps.npy" for label in spec.get("methods", {}).values()
            ],
            "histories": [
                f"{folder}/models/{label}/seed{seed}/history.parquet"
                for label in spec.get("models", {}).values()
                for seed in self.seeds
            ],
        }

    def figure_flags(self, paper: str, figure: str) -> str:
        """The command line of a figure, after its inputs' common part."""
        spec = self.paper(paper)["figures"][figure]
        files = self.figure_files(paper, figure)
        maps = [f"{heading}={path}" for heading, path in zip(spec.get("methods", {}), files["maps"], strict=True)]
        headings = [heading for heading in spec.get("models", {}) for _ in self.seeds]
        histories = [f"{heading}={path}" for heading, path in zip(headings, files["histories"], strict=True)]
        words = [spec["kind"], *_flags(spec.get("options", {}))]
        for flag, values in (("--maps", maps), ("--histories", histories)):
            words += [flag, *map(shlex.quote, values)] if values else []
        return " ".join(words)

    def ingredients(self, paper: str) -> dict[str, list[str]]:
        """The facts behind a page: what was packed, trained and explained for it."""
        datasets, methods, models = set(), set(), set()
        for dataset, label, section in self._asked(paper):
            datasets.add(dataset)
            if section == "methods":
                methods.add((dataset, label))
            models |= {(dataset, model) for model in self._models(section, label)}
        return {
            "info": [f"{self.results}/{dataset}/data/info.json" for dataset in sorted(datasets)],
            "weights": [self.weights_of(m, d, seed) for d, m in sorted(models) for seed in self.seeds],
            "samples": [
                f"{self.results}/{d}/maps/{m}/seed{seed}/samples.parquet"
                for d, m in sorted(methods)
                for seed in self.seeds
            ],
        }

    def _asked(self, paper: str) -> Iterator[tuple[str, str, str]]:
        content = self.paper(paper)
        for table in self.tables(paper):
            for cell in pages.cells(content["tables"][table]):
                yield cell.dataset, cell.metric, "metrics"
                if cell.method:
                    yield cell.dataset, cell.method, "methods"
        for figure in self.figures(paper):
            spec = content["figures"][figure]
            for section in ("methods", "models"):
                for label in spec.get(section, {}).values():
                    yield spec["dataset"], label, section

    def _models(self, section: str, label: str) -> set[str]:
        """All models behind an entry, through what they need themselves."""
        found = {label} if section == "models" else set()
        for reference in self.needs(section, label).values():
            found |= self._models("models", reference.partition(".")[0])
        return found

    # --- checks -------------------------------------------------------------------------------------------------------

    def _check_papers(self) -> dict[str, list[str]]:
        """Paper → its items that are asked for: ``paper`` means all but the optional ones, ``paper/item`` one."""
        chosen: dict[str, list[str]] = {}
        papers = self.config["papers"]
        for asked in [papers] if isinstance(papers, str) else papers:
            name, _, item = str(asked).partition("/")
            content = self.paper(name)
            there = {**content["tables"], **content["figures"]}
            if item:
                checks.known(f"papers/{name}.yaml", item, there)
            chosen.setdefault(name, []).extend(
                [item] if item else [k for k, v in there.items() if not v.get("optional")]
            )
        for name, items in chosen.items():
            chosen[name] = _unique(items)
        self.items = chosen
        for name in chosen:
            for dataset, label, section in self._asked(name):
                for kind, word in (("datasets", dataset), (section, label)):
                    try:
                        self.entry(kind, word)
                    except BadInput as error:
                        raise BadInput(f"papers/{name}.yaml: {error}") from None
        return chosen


def _flags(settings: Mapping[str, Any]) -> list[str]:
    """Settings as words of a command line, sorted; lists as JSON, which every flag that takes one reads."""
    words = []
    for key, value in sorted(settings.items()):
        text = (
            json.dumps(value)
            if isinstance(value, bool | Sequence | Mapping) and not isinstance(value, str)
            else str(value)
        )
        words += [f"--{key}", shlex.quote(text)]
    return words


def _unique(items: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(items))
