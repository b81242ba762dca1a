"""What can be wrong with a configuration, found before the first job. Standard library and the sources alone.

Every name is compared with what there is, and refused with the near miss: sections, labels, kinds, roles, networks,
hyperparameters. Values are compared with the annotations of the parameters they are for.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from evidence import signatures
from evidence.errors import BadInput, near

SECTIONS = {"datasets": "datasets", "models": "models", "methods": "attribution", "metrics": "metrics"}
TOP = {"scale", "papers", "seeds", "raw", *SECTIONS}
SOURCES = ("generated", "phantom", "real")
RESOURCES = ("mem_mb", "runtime", "threads", "gpu")
STRUCTURE = {  # keys that are no hyperparameters
    "datasets": {"kind", "source", "parts", "resources", "seeds"},
    "models": {"kind", "needs", "seeds"},
    "methods": {"kind", "needs", "seeds", "latents", "explain"},
    "metrics": {"kind", "needs"},
}
LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

Config = Mapping[str, Any]


def configuration(config: Config) -> None:
    """Refuse, with ``BadInput``, what no run could make sense of."""
    for key in config:
        known("the configuration", key, TOP)
    for key in ("scale", "papers", "seeds", *SECTIONS):
        if key not in config:
            raise BadInput(f"the configuration lacks {key!r}; see config.yaml")
    if not config["papers"] or not isinstance(config["papers"], str | list):
        raise BadInput(f"papers: {config['papers']!r} must be a list of papers, such as [baumgartner2018]")
    if not LABEL.fullmatch(str(config["scale"])):
        raise BadInput(f"scale: {config['scale']!r} is a folder's name: letters, digits and underscores")
    for section in SECTIONS:
        if not isinstance(config[section], Mapping):
            raise BadInput(f"{section} must be a mapping from labels to settings, not {config[section]!r}")
        for label, entry in config[section].items():
            if not LABEL.fullmatch(str(label)):
                raise BadInput(f"{section}.{label}: a label has letters, digits and underscores, a letter first")
            mapping(f"{section}.{label}", entry)
    for section in SECTIONS:
        for label, entry in config[section].items():
            _entry(config, section, label, entry or {})
    _circles(config["models"])


def seeds(value: Any, where: str = "seeds") -> list[int]:
    """The seeds; words of digits too, as ``--config 'seeds=[0, 1]'`` hands them over."""
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(str(seed).isdigit() for seed in listed):
        raise BadInput(f"{where}: {value} must be a list of whole numbers from 0, such as [0, 1, 2]")
    return list(dict.fromkeys(int(seed) for seed in listed))


def mapping(where: str, value: Any) -> Config:
    """A mapping of the configuration, empty where nothing is said; all else is refused."""
    if value is not None and not isinstance(value, Mapping):
        raise BadInput(f"{where} must be a mapping of settings, not {value!r}")
    return value or {}


def known(where: str, name: str, there: Iterable[str]) -> None:
    """Refuse a name that is not there."""
    there = list(there)
    if name not in there:
        raise BadInput(f"{where}: unknown name {name!r}; {near(str(name), there)}")


def table_of(method: str, kind: str, metric: str, methods: tuple[str, ...]) -> None:
    """Refuse a method whose table a metric does not know."""
    if methods and kind not in methods:
        raise BadInput(f"{metric} reads what {' or '.join(methods)} measures, and {method} is of the kind {kind}")


def map_of(method: str, there: tuple[str, ...], whole: bool = False) -> None:
    """Refuse a map that a method does not draw, and a method of several maps where none of them is named. A metric of
    the method as a ``whole`` is of none of its maps."""
    label, _, name = method.partition(".")
    if whole and name:
        raise BadInput(f"{method}: this metric is of the method, and not of one of its maps; ask for {label}")
    if whole:
        return
    if there and not name:
        raise BadInput(f"{label} draws several maps: ask for one of {', '.join(f'{label}.{each}' for each in there)}")
    if name and not there:
        raise BadInput(f"{method}: {label} draws one map, which is called {label}")
    if name:
        known(f"among the maps of {label}", name, there)


def dataset_options(kind: str) -> dict[str, set[str]]:
    """Function of a dataset, or step that each goes through → the hyperparameters that it takes."""
    functions = signatures.FUNCTIONS["datasets"]
    takes = {function: signatures.signature("datasets", kind, function) for function in functions}
    return {name: set(signature.options) for name, signature in (takes | signatures.everywhere()).items()}


def _entry(config: Config, section: str, label: str, entry: Config) -> None:
    where, folder, kind = f"{section}.{label}", SECTIONS[section], entry.get("kind", label)
    there = signatures.names(folder)
    if kind not in there:
        raise BadInput(f"{where}: there is no {kind!r} in src/evidence/{folder}; {near(str(kind), there)}")
    settings = {key: value for key, value in entry.items() if key not in STRUCTURE[section]}
    if "seeds" in STRUCTURE[section] & set(entry):
        there = seeds(config["seeds"])
        if others := [seed for seed in seeds(entry["seeds"], f"{where}.seeds") if seed not in there]:
            raise BadInput(f"{where}.seeds: {others} are not among the seeds of the scale, {there}")
    if section == "datasets":
        _dataset(config, where, kind, entry, settings)
        return
    _settings(where, signatures.signature(folder, kind), settings, STRUCTURE[section])
    signature = signatures.signature(folder, kind)
    needs, roles = entry.get("needs") or {}, signature.roles
    if not isinstance(needs, Mapping):
        raise BadInput(f"{where}.needs must map roles to models, such as {{{(roles or ('role',))[0]}: {needs}}}")
    for role in signature.required:
        if role not in needs and len(needs) < len(roles):
            raise BadInput(f"{where} needs a network for the role {role!r}: add needs: {{{role}: <label of a model>}}")
    for role, reference in needs.items():
        known(f"{where}.needs", role, roles)
        model, _, network = str(reference).partition(".")
        known(f"{where}.needs.{role}, among the models", model, config["models"])
        _network(config, f"{where}.needs.{role}", model, network or role)
    if kind == "inversion":
        _start(where, entry, needs)
    if section == "methods":
        _whole(f"{where}.explain", entry.get("explain", 0), 0, ": so many images at most, 0 for all")
        _latents(config, where, kind, entry)


def _network(config: Config, where: str, model: str, network: str) -> None:
    """A model may save a network of that name and, where it does on request only, was asked for it."""
    entry = config["models"][model] or {}
    kind = entry.get("kind", model)
    known(f"{where}, among the networks of {model}", network, signatures.networks(kind))
    if option := signatures.on_request(kind).get(network):
        default = signatures.signature("models", kind).options[option]
        said = [{**entry, **((dataset or {}).get(model) or {})} for dataset in config["datasets"].values()]
        if not any(each.get(option, default) for each in said or [entry]):
            raise BadInput(f"{where}: {model} saves no {network} unless {option} is set; set models.{model}.{option}")


def _start(where: str, entry: Config, needs: Mapping[str, str]) -> None:
    """An inversion that starts where an encoder puts an image has the encoder that learnt with its generator."""
    if (entry.get("initial") == "encoder") != ("encoder" in needs):
        raise BadInput(f"{where}: initial: encoder, and an encoder among its needs, go together; give both, or neither")
    if len({str(reference).partition(".")[0] for role, reference in needs.items() if role != "classifier"}) > 1:
        raise BadInput(f"{where}.needs: the encoder has to be of the model that the generator is of; name one for both")


def _latents(config: Config, where: str, kind: str, entry: Config) -> None:
    """A method that starts from latents names the inversion that finds them, and has the generator of that."""
    wanted = "latents" in signatures.signature("attribution", kind).positional
    label = entry.get("latents")
    if wanted and label is None:
        raise BadInput(f"{where} starts from latents: add latents: <label of an inversion>")
    if label is None:
        return
    if not wanted:
        raise BadInput(f"{where}.latents: {kind} starts from no latents; take it away")
    known(f"{where}.latents, among the methods", str(label), config["methods"])
    other = config["methods"][label] or {}
    if other.get("kind", label) != "inversion":
        raise BadInput(f"{where}.latents: {label} is of the kind {other.get('kind', label)}, and no inversion")
    if entry.get("explain", 0) != other.get("explain", 0):
        raise BadInput(f"{where}.explain: {label} inverts others than these; say the same of both")
    mine, its = ((each.get("needs") or {}).get("generator") for each in (entry, other))
    if mine != its:
        raise BadInput(f"{where} draws with the generator {mine}, and {label} inverts that of {its}; use one for both")


def _dataset(config: Config, where: str, kind: str, entry: Config, settings: Config) -> None:
    functions = [signatures.signature("datasets", kind, function) for function in signatures.FUNCTIONS["datasets"]]
    functions += signatures.everywhere().values()
    options = {name for function in functions for name in function.options}
    for key, value in settings.items():
        known(where, key, STRUCTURE["datasets"] | options | set(config["models"]))
        if key in config["models"] and key not in options:  # what differs for this dataset
            model_kind = (config["models"][key] or {}).get("kind", key)
            own = mapping(f"{where}.{key}", value)
            _settings(f"{where}.{key}", signatures.signature("models", model_kind), own, set())
            continue
        for function in functions:
            function.check(where, {key: value} if key in function.options else {})
    if entry.get("source", "real") not in SOURCES:
        raise BadInput(f"{where}.source: {entry['source']!r}; {near(str(entry['source']), SOURCES)}")
    _whole(f"{where}.parts", entry.get("parts", 1), 1, " from 1")
    for key, value in mapping(f"{where}.resources", entry.get("resources")).items():
        known(f"{where}.resources", key, RESOURCES)
        _whole(f"{where}.resources.{key}", value, 0, ": mem_mb in MB, runtime in minutes, threads, or gpu")


def _whole(where: str, value: Any, least: int, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise BadInput(f"{where}: {value!r} must be a whole number{what}")


def _settings(where: str, signature: signatures.Signature, settings: Config, structure: set[str]) -> None:
    for key in settings:
        known(where, key, set(signature.options) | structure)
    signature.check(where, settings)


def _circles(models: Config) -> None:
    def follow(label: str, path: tuple[str, ...]) -> None:
        if label in path:
            raise BadInput(f"models need each other in a circle: {' → '.join((*path, label))}")
        for reference in ((models[label] or {}).get("needs") or {}).values():
            follow(str(reference).partition(".")[0], (*path, label))

    for label in models:
        follow(label, ())
