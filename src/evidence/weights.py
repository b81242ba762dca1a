"""Trained networks as safetensors that describe themselves: their metadata rebuild them without the configuration.

Nothing is ever unpickled. A reference ``path#name`` means one network of a file.
"""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

from evidence import provenance
from evidence.errors import BadInput, near
from evidence.io import replacing
from evidence.networks.blocks import Network


def save(path: Path | str, networks: Mapping[str, Network], **facts: str) -> None:
    """Write networks under their names, each with its class and arguments; ``facts`` say how they were made."""
    tensors, described = {}, {}
    for name, network in networks.items():
        module = type(network).__module__.removeprefix("evidence.networks.")
        described[name] = {"kind": f"{module}.{type(network).__name__}", "options": network.options}
        for key, value in network.state_dict().items():
            tensors[f"{name}.{key}"] = value.detach().cpu().contiguous()
    with replacing(path) as aside:
        save_file(tensors, aside, metadata={"networks": json.dumps(described), **facts})


def load(reference: Path | str, role: str = "") -> Network:
    """The network ``path#name``; without a name the one called like its role; without a role the only one there is."""
    path, _, name = str(reference).partition("#")
    with provenance.opened(path, "pt") as file:
        described = _described(file)
        if not described:
            raise BadInput(f"{path} does not say which networks it holds; only weights made by train.py can be loaded")
        if not name:
            name = role or (next(iter(described)) if len(described) == 1 else "")
        if name not in described:
            raise BadInput(f"{path} has no network {name!r}; {near(name, described)}; name one with {path}#NAME")
        prefix = f"{name}."
        state = {key.removeprefix(prefix): file.get_tensor(key) for key in file.keys() if key.startswith(prefix)}  # noqa: SIM118
    network = _build(*described[name], path)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise BadInput(
            f"{path}: the weights of {name!r} do not fit the architecture they claim ({reason}); train it again"
        ) from error
    return network.eval()


def load_all(references: Mapping[str, str], ranges: Mapping[str, str] | None = None) -> dict[str, Network]:
    """The networks that are used together, by role. They are refused where files of theirs say that they are for images
    of different ranges of intensities; weights that say nothing of it may be used with any.

    Args:
        references: role → reference.
        ranges: file → what it says the range is, ``[-1, 1]``, of the images that are used with them.
    """
    said = dict(ranges or {})
    for reference in references.values():
        path = str(reference).partition("#")[0]
        said[path] = provenance.facts(path).get("range", "")
    known = [(path, intensities) for path, intensities in said.items() if intensities]
    for path, intensities in known[1:]:
        other, expected = known[0]
        if intensities != expected:
            raise BadInput(
                f"{path} is for intensities in {intensities}, but {other} for those in {expected}: networks that are "
                "used together, and their images, have one range; give weights that were trained on the same dataset, "
                "or train them again on it"
            )
    return {role: load(reference, role) for role, reference in references.items()}


def _build(kind: str, options: dict, path: str) -> Network:
    module, _, name = kind.rpartition(".")
    try:
        network = getattr(importlib.import_module(f"evidence.networks.{module}"), name)
        if not issubclass(network, Network):
            raise TypeError(f"{kind} is no network")
        with torch.random.fork_rng(devices=[]):  # building draws initial weights; loading must not move anyone's stream
            return network(**{key: tuple(v) if isinstance(v, list) else v for key, v in options.items()})
    except (ImportError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise BadInput(f"{path} holds a {kind}, which this version does not know ({error}); train it again") from error


def _described(file) -> dict[str, tuple[str, dict]]:
    """Name → kind and options; empty where the metadata are not ours."""
    try:
        networks = json.loads((file.metadata() or {})["networks"])
        return {name: (str(network["kind"]), dict(network["options"])) for name, network in networks.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}
