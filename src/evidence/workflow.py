"""The plan: what the rules ask of the configuration. Standard library and yaml, no torch, so that a dry run is quick.

An entry of the configuration has a *label* (its key, a folder in results), a *kind* (the module that implements it; the
label if not said), *needs* (role → label of a model, perhaps ``label.network``), *seeds* (where it is replicated with
some of the scale's only), and hyperparameters. All names are checked here, before the first job: those of kinds, roles
and hyperparameters against the sources themselves.
"""

import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from evidence import checks, pages, raw, signatures, sources
from evidence.drawing import Figure
from evidence.errors import BadInput
from evidence.pages import Cell


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
        """What the configuration says of a label; a label it does not know is refused with the near miss.

        A method with several maps may be called ``label.map``.
        """
        entries, label = self.config[section], label.partition(".")[0]
        checks.known(f"{section} of the scale {self.scale!r}", label, entries)
        return entries[label] or {}

    def labels(self, section: str) -> list[str]:
        return sorted(self.config[section])

    def kind(self, section: str, label: str) -> str:
        return self.entry(section, label).get("kind", label.partition(".")[0])

    def needs(self, section: str, label: str) -> dict[str, str]:
        """Role → reference to a model, ``label`` or ``label.network``."""
        return self.entry(section, label).get("needs") or {}

    def source(self, dataset: str) -> str:
        return self.entry("datasets", dataset).get("source", "real")

    def parts(self, dataset: str) -> int:
        return int(self.entry("datasets", dataset).get("parts", 1))

    def resource(self, dataset: str, name: str, default: int) -> int:
        """A need of the jobs of a dataset (mem_mb, runtime, threads, gpu); never a reason to run again."""
        return (self.entry("datasets", dataset).get("resources") or {}).get(name, default)

    def on_gpu(self, metric: str) -> bool:
        """Whether a metric computes with networks, on a GPU where there is one."""
        return bool(self.needs("metrics", metric))

    def options(self, section: str, label: str, *, dataset: str = "", function: str = "") -> str:
        """The hyperparameters of an entry as flags, in alphabetical order, so that reordering YAML changes nothing.

        For a dataset, those that ``function`` takes; for a model, what the dataset says of it is merged over.
        """
        settings = {k: v for k, v in self.entry(section, label).items() if k not in checks.STRUCTURE[section]}
        if section == "datasets":
            takes = checks.dataset_options(self.kind("datasets", label))[function]
            settings = {k: v for k, v in settings.items() if k in takes}
        elif dataset:
            settings |= self.entry("datasets", dataset).get(label) or {}
        named = [] if function in signatures.everywhere() else [self.kind(section, label)]
        return " ".join([*named, *signatures.flags(settings)])

    def seeds_of(self, dataset: str, section: str, label: str) -> list[int]:
        """The seeds with which an entry is made for a dataset: those that both, and all models behind it, allow."""
        behind = [("models", model) for model in self._models(section, label)]
        behind += [("methods", label) for label in self._inversions(section, label)]
        entries = [self.entry(*named) for named in (("datasets", dataset), (section, label), *behind)]
        allowed = [checks.seeds(entry["seeds"]) for entry in entries if "seeds" in entry]
        return [seed for seed in self.seeds if all(seed in seeds for seeds in allowed)]

    # --- files --------------------------------------------------------------------------------------------------------

    def manifest(self, dataset: str) -> str:
        """Where the raw files of a dataset are listed. Each scale has its own list, so that scales never disturb each
        other; the files themselves are where they are."""
        folder = "fetched" if self.source(dataset) == "real" else "simulated"
        return f"{self.results}/{dataset}/{folder}/manifest.csv"

    def dataset_settings(self, dataset: str) -> str:
        """Kind and hyperparameters that made the arrays of a dataset, for its facts on a page."""
        takes = checks.dataset_options(self.kind("datasets", dataset))
        first = "fetch" if self.source(dataset) == "real" else "simulate"
        made = takes[first] | takes["prepare"] | takes["pack"]
        kept = {key: value for key, value in self.entry("datasets", dataset).items() if key in made}
        return shlex.quote(json.dumps({"kind": self.kind("datasets", dataset), **kept}, sort_keys=True))

    def weights(self, section: str, label: str, dataset: str, seed: str | int) -> list[str]:
        """The files of weights that an entry reads, one for each model."""
        models = {reference.partition(".")[0] for reference in self.needs(section, label).values()}
        return [self.weights_of(model, dataset, seed) for model in sorted(models)]

    def weights_of(self, model: str, dataset: str, seed: str | int) -> str:
        return f"{self.results}/{dataset}/models/{model}/seed{seed}/weights.safetensors"

    def maps_of(self, method: str, dataset: str, seed: str | int) -> str:
        """The file of a method's maps."""
        return f"{self.results}/{dataset}/maps/{method.partition('.')[0]}/seed{seed}/maps.npy"

    def map_given(self, method: str, dataset: str, seed: str | int) -> str:
        """One kind of a method's maps as a word of a command line: ``…/maps.npy``, or ``…/maps.npy#v2``."""
        _, _, part = method.partition(".")
        return self.maps_of(method, dataset, seed) + (f"#{part}" if part else "")

    def truth_for(self, method: str, dataset: str) -> list[str]:
        """The truth of a dataset, for the method that asks for it."""
        wanted = "truth" in signatures.signature("attribution", self.kind("methods", method)).positional
        return [f"{self.results}/{dataset}/data/truth.npy"] if wanted else []

    def latents_for(self, method: str, dataset: str, seed: str | int) -> list[str]:
        """The table of the inversion that a method starts from, if it does."""
        label = self.entry("methods", method).get("latents")
        return [self.samples_of(label, dataset, seed)] if label else []

    def samples_of(self, method: str, dataset: str, seed: str | int) -> str:
        """The file of what a method measures of itself."""
        return f"{self.results}/{dataset}/maps/{method}/seed{seed}/samples.parquet"

    def explained(self, method: str) -> str:
        """How many images a method is asked for, as a flag; none where it is all of the dataset's."""
        most = self.entry("methods", method).get("explain")
        return f"--explain {most}" if most else ""

    def given(self, section: str, label: str, dataset: str, seed: str | int) -> str:
        """The weights as flags: ``--classifier …/weights.safetensors --generator …/weights.safetensors#average``."""
        flags = {}
        for role, reference in self.needs(section, label).items():
            model, _, network = reference.partition(".")
            path = self.weights_of(model, dataset, seed)
            flags[role] = f"{path}#{network}" if network else path
        return " ".join(signatures.flags(flags))

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
        """What a paper's file says of a table or figure, or of the paper itself; a change of it makes that again."""
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
        return self.items[paper]["tables"]

    def figures(self, paper: str) -> list[str]:
        return self.items[paper]["figures"]

    def claims(self, paper: str) -> list[str]:
        return self.items[paper]["claims"]

    def claims_spec(self, paper: str) -> str:
        """What a paper's file says of the claims asked for; a change of it judges them again."""
        return json.dumps({name: self.paper(paper)["claims"][name] for name in self.claims(paper)}, ensure_ascii=False)

    def cells(self, paper: str, table: str = "") -> list[Cell]:
        """The cells of a table or, where none is named, of the claims asked for."""
        if table:
            return list(pages.cells(self.paper(paper)["tables"][table]))
        return [cell for name in self.claims(paper) for cell in pages.claim_cells(self.paper(paper)["claims"][name])]

    def cell_seeds(self, cell: Cell) -> list[int]:
        """The seeds that a cell has scores of; without a metric, those of its method."""
        seeds = self.seeds_of(cell.dataset, "metrics", cell.metric) if cell.metric else self.seeds
        return [s for s in seeds if not cell.method or s in self.seeds_of(cell.dataset, "methods", cell.method)]

    def scores(self, paper: str, table: str = "") -> list[str]:
        """The scores that a table, or the claims, are made of."""
        cells = self.cells(paper, table)
        return _unique(cell.scores(self.results, seed) for cell in cells for seed in self.cell_seeds(cell))

    def score_flags(self, paper: str, table: str = "") -> str:
        """Where the scores of a table, or of the claims, are, and where each dataset's images come from."""
        datasets = sorted({cell.dataset for cell in self.cells(paper, table)})
        origins = " ".join(f"{dataset}={self.source(dataset)}" for dataset in datasets)
        return f"--results {self.results} --scale {self.scale} --sources {origins}"

    def table_files(self, paper: str) -> list[str]:
        return [f"{self.results}/papers/{paper}/{table}.{end}" for table in self.tables(paper) for end in ("csv", "md")]

    def claim_files(self, paper: str) -> list[str]:
        return [f"{self.results}/papers/{paper}/claims.{end}" for end in ("csv", "md") if self.claims(paper)]

    def picture_files(self, paper: str) -> list[str]:
        return [f"{self.results}/papers/{paper}/{figure}.png" for figure in self.figures(paper)]

    def pattern(self, kind: str) -> str:
        """A regular expression for the names of all tables, or figures, of the papers asked for."""
        return "|".join(_unique(name for paper in self.items for name in self.paper(paper)[kind])) or "none"

    def figure(self, paper: str, name: str) -> Figure:
        """A figure of a paper: its kind, and the files and flags that it is drawn with."""
        return Figure(self, self.paper(paper)["figures"][name])

    def ingredients(self, paper: str) -> dict[str, list[str]]:
        """The facts behind a page: what was packed, trained and explained for it."""
        datasets, methods, models = set(), set(), set()
        for dataset, section, label, seeds in self._asked(paper):
            datasets.add(dataset)
            if section == "methods":
                labels = [label.partition(".")[0], *self._inversions(section, label)]
                methods |= {(dataset, method, seed) for method in labels for seed in seeds}
            models |= {(dataset, model, seed) for model in self._models(section, label) for seed in seeds}
        return {
            "facts": [f"{self.results}/{dataset}/data/facts.json" for dataset in sorted(datasets)],
            "weights": [self.weights_of(model, dataset, seed) for dataset, model, seed in sorted(models)],
            "samples": [self.samples_of(method, dataset, seed) for dataset, method, seed in sorted(methods)],
        }

    def _asked(self, paper: str) -> Iterator[tuple[str, str, str, list[int]]]:
        """Dataset, section, label and seeds of all that the items of a paper show."""
        for cell in self._all_cells(paper):
            seeds = self.cell_seeds(cell)
            if cell.method:
                yield cell.dataset, "methods", cell.method, seeds
            yield cell.dataset, "metrics", cell.metric, seeds
        for name in self.figures(paper):
            yield from self.figure(paper, name).asked()

    def _shown(self, paper: str) -> Iterator[tuple[str, str]]:
        """Each method that the items of a paper show, and the metric by which, none where they show its maps."""
        for cell in self._all_cells(paper):
            if cell.method:
                yield cell.method, cell.metric
        for name in self.figures(paper):
            figure = self.figure(paper, name)
            figure.check(f"figures.{name}")
            yield from figure.shown()

    def _all_cells(self, paper: str) -> Iterator[Cell]:
        """Those of a paper's tables, and of its claims."""
        for table in [*self.tables(paper), ""]:
            yield from self.cells(paper, table)

    def _models(self, section: str, label: str) -> set[str]:
        """All models behind an entry, through what they need themselves."""
        found = {label} if section == "models" else set()
        for inversion in self._inversions(section, label):
            found |= self._models("methods", inversion)
        for reference in self.needs(section, label).values():
            found |= self._models("models", reference.partition(".")[0])
        return found

    def _inversions(self, section: str, label: str) -> list[str]:
        """The label of the inversion that a method starts from, if it does."""
        found = self.entry(section, label).get("latents") if section == "methods" else None
        return [found] if found else []

    # --- checks -------------------------------------------------------------------------------------------------------

    def of_whole(self, metric: str) -> bool:
        """Whether a metric is of a method as a whole, and of none of its maps."""
        asks = signatures.signature("metrics", self.kind("metrics", metric)).positional
        return "samples" in asks and "maps" not in asks

    def _check_method(self, label: str, metric: str) -> None:
        """Refuse a method, or map of one, that a metric cannot score, or that cannot be shown."""
        kind = self.kind("methods", label)
        checks.map_of(label, signatures.maps(kind), whole=bool(metric) and self.of_whole(metric))
        checks.table_of(label, kind, metric, signatures.methods(self.kind("metrics", metric)) if metric else ())

    def _check_papers(self) -> dict[str, dict[str, list[str]]]:
        """Paper → section → its items that are asked for: ``paper`` means all but the optional ones, ``paper/item`` all
        that are called so, a table and the claim about it alike."""
        self.items = {}
        for asked in [self.config["papers"]] if isinstance(self.config["papers"], str) else self.config["papers"]:
            name, _, item = str(asked).partition("/")
            content = self.paper(name)
            if item:
                checks.known(f"papers/{name}.yaml", item, [i for section in pages.SECTIONS for i in content[section]])
            chosen = self.items.setdefault(name, {section: [] for section in pages.SECTIONS})
            for section, there in chosen.items():
                wanted = [
                    i for i, entry in content[section].items() if (i == item if item else not entry.get("optional"))
                ]
                chosen[section] = _unique([*there, *wanted])
        for name in self.items:
            try:
                for label, metric in self._shown(name):
                    self._check_method(label, metric)
                for dataset, section, label, seeds in self._asked(name):
                    if not seeds:
                        raise BadInput(
                            f"{section}.{label} has no seed on {dataset}: its own, those of the dataset and those of "
                            f"the models it needs have none of {self.seeds} in common"
                        )
            except BadInput as error:
                raise BadInput(f"papers/{name}.yaml: {error}") from None
        return self.items


def _unique(items: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(items))
