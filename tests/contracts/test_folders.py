"""What every file of the five folders owes, whatever it is called. A new file is under test as soon as it is there."""

import importlib
import inspect

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from evidence import cohort, explaining, io, machine, parts, signatures, training, weights
from evidence.errors import BadInput
from evidence.networks import dcgan
from evidence.networks.c3d import Classifier
from evidence.networks.encoder import Encoder
from evidence.networks.latent import Generator
from evidence.networks.mask import MaskGenerator
from evidence.networks.translators import Pair
from evidence.networks.unet import MapGenerator

SIZES = {"slice": (32, 48), "volume": (16, 32, 48)}
SQUARES = {"slice": (32, 32), "volume": (32, 32, 32)}  # what draws from latents draws these
LATENT = ("medxgan", "inversion", "restarts", "traversal", "latent", "realisations")
LATENT += ("dcgan", "diverse_encoder", "anchor", "decodings")
PLANAR = ("diverse_encoder", "anchor", "decodings")  # refuse volumes


@pytest.fixture
def distant(monkeypatch):
    """Of no tensor an array can be made before it was fetched, as it is of those on a GPU; and stricter than there,
    ``numpy`` has to follow ``cpu`` at once."""
    cpu, numpy = torch.Tensor.cpu, torch.Tensor.numpy

    def fetch(tensor):
        fetched = cpu(tensor).view(tensor.shape)
        fetched.fetched = True
        return fetched

    def refuse(tensor, **options):
        if not hasattr(tensor, "fetched"):
            raise TypeError("this tensor would have to be fetched from its device")
        return numpy(tensor, **options)

    monkeypatch.setattr(torch.Tensor, "cpu", fetch)
    monkeypatch.setattr(torch.Tensor, "numpy", refuse)


def test_distant_tensors_have_to_be_fetched(distant):
    tensor = torch.ones(2)
    assert tensor.cpu().numpy().sum() == 2
    for made in (lambda: tensor.numpy(), lambda: np.mean([tensor.sum(), tensor.sum()]), lambda: np.asarray(tensor)):
        with pytest.raises(TypeError, match="would have to be fetched"):
            made()


def size_for(name, kind):
    return (SQUARES if name in LATENT else SIZES)[kind]


def module(folder, name):
    return importlib.import_module(f"evidence.{folder}.{name}")


def network(role, size, head="dense"):
    """A tiny network that can play a role."""
    torch.manual_seed(0)
    made = {
        "classifier": lambda: Classifier(size=size, width=2, hidden=4, head=head),
        "generator": lambda: MapGenerator(width=2, spatial_dims=len(size)),
        "pair": lambda: Pair(symmetric=True, widths=(2, 2), spatial_dims=len(size), low=-1.0),
        "latent": lambda: Generator(channels=1, z1=3, z2=2, base=4, widths=(4, 4), spatial_dims=len(size)),
        "dcgan": lambda: dcgan.Generator(size=size, z=3, widths=(4, 4, 4)),
        "encoder": lambda: Encoder(size=size, widths=(2, 2), codes=2, z=3),
        "mask": lambda: MaskGenerator(features=(4, 8, 16, 32), spatial_dims=len(size)),
    }
    return made[role]()


def networks_for(folder, name, size):
    head = "cam" if name == "cam" else "dense"
    special = {"counterfactual": "pair", "difference": "pair", "mask_generator": "mask"}
    special |= dict.fromkeys(LATENT, "latent") | dict.fromkeys(("diverse_encoder", "anchor", "decodings"), "dcgan")
    plays = {"generator": special.get(name, "generator")}
    signature = signatures.signature(folder, name)
    roles = signature.required if name == "inversion" else signature.roles  # with an encoder it starts otherwise
    return {role: network(plays.get(role, role), size, head) for role in roles}


def small(folder, name):
    """Fewer iterations where a module iterates; the contract is about what comes out, not how good it is."""
    takes = signatures.signature(folder, name).options
    settings = {"iterations": 3, "steps": 3, "segmentation": "slic", "segments": 4, "sampler": "descent", "at_once": 8}
    settings |= {"threshold": 3.0, "repeats": 1, "fresh": 10, "batch": 4, "largest": 1}
    return {key: value for key, value in settings.items() if key in takes}


@pytest.mark.parametrize("folder", signatures.FUNCTIONS)
def test_the_signature_read_off_the_source_is_the_real_one(folder):
    for name in signatures.names(folder):
        for function in signatures.FUNCTIONS[folder]:
            read = signatures.signature(folder, name, function)
            real = list(inspect.signature(getattr(module(folder, name), function)).parameters.values())
            assert read.positional == tuple(p.name for p in real if p.kind is not p.KEYWORD_ONLY)
            assert tuple(read.options) == tuple(p.name for p in real if p.kind is p.KEYWORD_ONLY)
            assert all(p.default is not p.empty for p in real if p.kind is p.KEYWORD_ONLY), (
                "hyperparameters have defaults"
            )
            assert not any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in real)


@pytest.mark.parametrize("folder", signatures.FUNCTIONS)
def test_every_module_says_what_it_is_and_explains_each_hyperparameter(folder):
    for name in signatures.names(folder):
        found = module(folder, name)
        assert found.__doc__
        for function in signatures.FUNCTIONS[folder]:
            text = inspect.getdoc(getattr(found, function)) or ""
            for option in signatures.signature(folder, name, function).options:
                assert f"{option}:" in text, f"{folder}/{name}.py: {function} does not explain {option}"


# --- datasets ---------------------------------------------------------------------------------------------------------

TINY = {
    "synthetic": {"count": 60, "size": 32},
    "brain_mri": {"count": 60, "native": 48},
    "folder": {"count": 60, "native": 48},
    "tumour": {"subjects": 12, "native": (48, 40, 26)},
    "pneumonia": {"count": 60, "native": 48},
    "covid": {"count": 60, "native": 48},
    "mnist": {"count": 60, "test_count": 20},
    "faces": {"count": 60, "native": 32},
    "celeba": {"count": 60, "native": 48},
}
PREPARED = {
    "brain_mri": {"size": 32},
    "folder": {"size": 32, "baseline": "healthy"},
    "tumour": {"size": 32, "slices": 20, "least": 2},
    "pneumonia": {"size": 32},
    "covid": {"size": 32},
    "celeba": {"size": 32},
}
CLASSES = {"mnist": 10}  # of the others two


def packed(name, folder):
    """simulate → prepare → pack, in two parts."""
    dataset, raw = module("datasets", name), folder / "raw"
    io.save_manifest(folder / "manifest.csv", raw, dataset.simulate(raw, **TINY.get(name, {})))
    manifest = io.load_manifest(folder / "manifest.csv")
    for number in range(2):
        made = []
        for unit in io.part_of(manifest, number, 2):
            part = dataset.prepare(io.checked(raw, manifest, unit), **PREPARED.get(name, {}))
            parts.check(part, unit)
            made.append(part)
        parts.save(folder / f"{number}.npz", parts.joined(made))
    paths = [folder / "0.npz", folder / "1.npz"]
    index = pd.concat([parts.load_index(path) for path in paths], ignore_index=True)
    classes = CLASSES.get(name, 2)
    index = cohort.without_duplicates(cohort.of_classes(index, classes))
    index["split"] = cohort.split(index)
    index["explain"] = cohort.explained(index, most=2, classes=classes)
    parts.pack(paths, index.index.to_numpy(), folder / "images.npy", folder / "truth.npy")
    return io.load_array(folder / "images.npy"), index


@pytest.mark.parametrize("name", signatures.names("datasets"))
def test_a_phantom_goes_through_the_real_preparation(name, tmp_path):
    images, index = packed(name, tmp_path)
    assert images.dtype == np.float32
    assert images.min() >= -1
    assert images.max() <= 1
    assert np.isfinite(images).all()
    assert set(index["label"]) == set(range(CLASSES.get(name, 2)))
    interest = set(index["label"]) - {0} if name not in CLASSES else set(index["label"])
    assert set(index.query("explain")["label"]) == interest, "there is something of each to explain"
    assert set(index["split"]) == set(cohort.SPLITS)
    assert index["subject"].map(type).eq(str).all(), "a subject 0012 stays 0012"
    assert (index.groupby("subject")["split"].nunique() == 1).all(), "no subject is in two splits"


@pytest.mark.parametrize(
    "name", [name for name in signatures.names("datasets") if hasattr(module("datasets", name), "image")]
)
def test_an_image_by_itself_is_prepared_as_those_of_the_dataset(name, tmp_path):
    dataset, settings = module("datasets", name), PREPARED.get(name, {})
    files = next(iter(dataset.simulate(tmp_path, **TINY[name]).values()))
    images = dataset.prepare(list(files), **settings).images
    pictures = [file for file in files if file.suffix not in (".csv", ".txt", ".json")]
    takes = inspect.signature(dataset.image).parameters
    alone = dataset.image(pictures[0], **{key: value for key, value in settings.items() if key in takes})
    assert np.array_equal(alone, images[0])
    assert alone.dtype == images.dtype


@pytest.mark.parametrize("name", signatures.names("datasets"))
def test_a_phantom_is_a_function_of_its_seed(name, tmp_path):
    manifests = []
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        raw = tmp_path / folder / "raw"
        units = module("datasets", name).simulate(raw, **TINY.get(name, {}), seed=seed)
        io.save_manifest(tmp_path / folder / "manifest.csv", raw, units)
        manifests.append(io.load_manifest(tmp_path / folder / "manifest.csv"))
    pd.testing.assert_frame_equal(manifests[0], manifests[1])
    assert manifests[0]["sha256"].tolist() != manifests[2]["sha256"].tolist()


# --- models -----------------------------------------------------------------------------------------------------------


WIDTHS = {"dcgan": {"widths": (2, 2, 2), "judge_widths": (2, 2, 2)}}  # of 32×32


def tiny_learner(name, kind, **options):
    takes = signatures.signature("models", name).options
    settings = {"width": 2, "hidden": 4, "steps": 4, "batch": 2, "validate_every": 2, "validate_batches": 1, "burst": 2}
    settings |= {
        "critic_steps": 1,
        "burst_first": 1,
        "average": 0.5,
        "widths": (2, 2),
        "kernels": (3, 4),
        "judge_widths": (2, 2),
        "depth": 2,
        "blocks": 1,
        "z1": 3,
        "z2": 2,
        "base": 4,
        "validate_count": 4,
        "segmentation": "slic",
    }
    settings |= WIDTHS.get(name, {}) | options
    size = size_for(name, kind)
    networks = networks_for("models", name, size)
    if "classifier" in networks:
        undecided(networks["classifier"], torch.from_numpy(tiny_samples(size).images))
    torch.manual_seed(5)
    learner = module("models", name).Learner(
        (1, *size), **networks, **{k: v for k, v in settings.items() if k in takes}
    )
    return machine.place(learner)


def undecided(classifier, images):
    """Running statistics of these images alone: half of them are decided for either class, or nearly."""
    for layer in classifier.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            layer.momentum = None
    with torch.no_grad():
        classifier.train()(images)
    classifier.eval()


def tiny_samples(size):
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (8, 1, *size)).astype(np.float32)
    return training.Samples(images, np.arange(8) % 2, (images > 0.5).astype(np.uint8))


ON_REQUEST = [(name, network) for name in signatures.names("models") for network in signatures.on_request(name)]


@pytest.mark.parametrize(("name", "network"), ON_REQUEST)
def test_what_a_model_saves_on_request_it_saves_when_asked_and_not_unasked(name, network, tmp_path):
    option = signatures.on_request(name)[network]
    kind = type(signatures.signature("models", name).options[option])
    samples = tiny_samples(size_for(name, "slice"))
    for number, value in enumerate((kind(), kind(1) if kind is int else 0.5)):
        learner = tiny_learner(name, "slice", **{option: value}, validate_every=1, encoder_widths=(2, 2))
        training.fit(learner, samples, samples, seed=0, state=tmp_path / f"{number}.pt", recipe="r")
        assert (network in learner.networks) == bool(value)


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("name", signatures.names("models"))
def test_a_model_trains_saves_loads_and_gives_the_same_output(name, kind, tmp_path, distant):
    if kind == "volume" and name in PLANAR:
        with pytest.raises(BadInput, match="have 3 axes"):
            tiny_learner(name, kind)
        return
    learner, samples = tiny_learner(name, kind), tiny_samples(size_for(name, kind))
    before = {key: value.clone() for key, value in learner.state_dict().items()}
    history, _ = training.fit(learner, samples, samples, seed=0, state=tmp_path / "state.pt", recipe="r")
    assert np.isfinite(history["value"]).all()
    assert any(not torch.equal(before[key], value) for key, value in learner.state_dict().items())
    assert set(learner.networks) <= set(signatures.networks(name))
    weights.save(tmp_path / "w.safetensors", learner.networks)
    images = samples.take(np.arange(3))
    for role, network in learner.networks.items():
        again = machine.place(weights.load(f"{tmp_path / 'w.safetensors'}#{role}"))
        with machine.evaluation(network, again), torch.no_grad():
            assert torch.equal(output(network, images), output(again, images))


def output(network, images):
    """What a network makes of images, whichever way it is asked."""
    if isinstance(network, MaskGenerator):  # needs a classifier's features
        return torch.cat([value.flatten() for value in network.state_dict().values()])
    if isinstance(network, Generator):
        return network(torch.ones(3, sum(network.sizes)))
    if isinstance(network, dcgan.Generator):
        return network(torch.ones(3, network.z))
    labelled = getattr(network, "path", getattr(network, "translate", None))
    found = labelled(images, torch.tensor([0, 1, 0])) if labelled else network(images)
    return torch.cat(found) if isinstance(found, tuple) else found


BESIDE = {"likeness": 1.0, "rising": 1.0, "encoder_widths": (2, 2)}


@pytest.mark.parametrize(
    ("name", "options"), [*((name, {}) for name in signatures.names("models")), ("medxgan", BESIDE)]
)
def test_a_model_goes_on_exactly_where_it_was(name, options, tmp_path, monkeypatch):
    monkeypatch.setenv("EVIDENCE_SAVE_SECONDS", "0")
    samples, whole = tiny_samples(size_for(name, "slice")), tiny_learner(name, "slice", **options)
    training.fit(whole, samples, samples, seed=0, state=tmp_path / "whole.pt", recipe="r")
    first = tiny_learner(name, "slice", **options)
    plain = first.step

    def killed(batches, i):
        if i == 3:
            raise KeyboardInterrupt
        return plain(batches, i)

    monkeypatch.setattr(first, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        training.fit(first, samples, samples, seed=0, state=tmp_path / "state.pt", recipe="r")
    second, steps = tiny_learner(name, "slice", **options), []
    step = second.step
    monkeypatch.setattr(second, "step", lambda batches, i: steps.append(i) or step(batches, i))
    training.fit(second, samples, samples, seed=0, state=tmp_path / "state.pt", recipe="r")
    assert steps == [3], "all others were done before"
    for key, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[key]), key


# --- methods ----------------------------------------------------------------------------------------------------------


def hooks(network):
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(m, kind)) for m in network.modules() for kind in kinds)


def kinds(name):
    """How many maps a method draws of an image."""
    return max(1, len(signatures.maps(name)))


def explained(name, images, networks, folder, seed=0):
    attribute = module("attribution", name).attribute
    (folder / "state.npz").unlink(missing_ok=True)  # which a method with a keeper leaves until its maps are saved
    settings = {"seed": seed, "state": folder / "state.npz", "recipe": "r", "batch": 2, "kinds": kinds(name)}
    latents = np.random.default_rng(4).normal(size=(len(images), 5)).astype(np.float32)
    settings["beside"] = explaining.Beside(
        truth=(images > 0.5).astype(np.uint8),
        inverted=pd.DataFrame({"latents": list(latents), "valid": 1.0}),
        donors=images[::-1],
    )
    settings["unfolded"] = getattr(module("attribution", name), "UNFOLDED", ())
    return explaining.explain(
        attribute, images, np.arange(len(images)), networks, small("attribution", name), **settings
    )


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("name", signatures.names("attribution"))
def test_a_method_draws_a_finite_map_an_image_and_leaves_networks_as_they_were(name, kind, tmp_path, distant):
    if kind == "volume" and name in PLANAR:
        pytest.skip(f"{name} is of slices alone")
    size = size_for(name, kind)
    images = np.random.default_rng(1).uniform(-1, 1, (3, 1, *size)).astype(np.float32)
    networks = networks_for("attribution", name, size)
    for network in networks.values():
        network.train()
    before = {role: {k: v.clone() for k, v in n.state_dict().items()} for role, n in networks.items()}
    maps, table = explained(name, images, networks, tmp_path)
    assert maps.shape == (3, kinds(name), *size)
    assert maps.dtype == np.float32
    assert np.isfinite(maps).all()
    assert list(table["sample"]) == [0, 1, 2]
    assert (table["seconds"] > 0).all()
    for role, network in networks.items():
        assert all(m.training for m in network.modules())
        assert all(p.requires_grad and p.grad is None for p in network.parameters())
        assert hooks(network) == 0
        assert all(torch.equal(before[role][k], v) for k, v in network.state_dict().items())


@pytest.mark.parametrize("name", signatures.names("attribution"))
def test_a_map_depends_on_image_and_seed_not_on_its_batch(name, tmp_path):
    size = size_for(name, "slice")
    images = np.random.default_rng(1).uniform(-1, 1, (3, 1, *size)).astype(np.float32)
    networks = networks_for("attribution", name, size)
    all_three, _ = explained(name, images, networks, tmp_path)
    again, _ = explained(name, images, networks, tmp_path)
    assert np.array_equal(all_three, again)
    first, _ = explained(name, images[:1], networks, tmp_path)
    # Adam divides by the gradient's size, so the last bit of a sum may become a step of its own: compare most pixels
    close = np.isclose(first, all_three[:1], rtol=1e-3, atol=1e-5)
    assert close.mean() > 0.99


@pytest.mark.parametrize(
    "name", [n for n in signatures.names("attribution") if signatures.signature("attribution", n).roles]
)
def test_a_method_that_fails_leaves_no_hook_and_no_mode_behind(name, tmp_path):
    def fail(images):
        raise RuntimeError("broken on purpose")

    size = size_for(name, "slice")
    networks = networks_for("attribution", name, size)
    for network in networks.values():
        network.train()
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                layer.forward = fail
    images = np.zeros((1, 1, *size), np.float32)
    with pytest.raises(RuntimeError, match="on purpose"):
        explained(name, images, networks, tmp_path)
    for network in networks.values():
        assert network.training
        assert hooks(network) == 0


# --- metrics ----------------------------------------------------------------------------------------------------------


def perfect_and_poor(name):
    """Scores of what a metric should like best, and of what it should not."""
    metric, wanted = module("metrics", name), signatures.signature("metrics", name).positional
    random = np.random.default_rng(2)
    if name in MEASURED:
        settings, *measured = MEASURED[name]
        pictures = [np.full((4, 1, 8, 8), 0.5, np.float32)] * (len(wanted) - 1)  # the images, and those of training
        return [together(metric.score(filled(metric.COLUMNS, each), *pictures), settings) for each in measured]
    if name == "certainty":
        found = [
            metric.score(Latent(), network, np.zeros((2, 1, 16, 24), np.float32), draws=20)
            for network in (Sure(), Unsure())
        ]
        return [each["certain"] for each in found]
    if name == "class_agreement":
        found = [metric.score(Leaning(sign), Judge(), draws=20) for sign in (1, -1)]
        return [together(each, ("accuracy", "auc")) for each in found]
    if name == "confidence_drop":
        images = random.uniform(-0.2, 0, (6, 1, 16, 24)).astype(np.float32)
        images[:, :, :, 12:] = 1
        bright = (images > 0.5).astype(np.float32)
        return [metric.score(maps, images, np.ones(6, int), Half())["drop"] for maps in (bright, 1 - bright)]
    if name == "active_ratio":
        images = random.uniform(0.2, 1, (6, 1, 16, 24)).astype(np.float32)
        point = (np.arange(16 * 24) == 100).reshape(1, 1, 16, 24) * np.ones((6, 1, 1, 1))
        return [metric.score(maps, images, Judge())["ratio"] for maps in (point, np.ones_like(point))]
    if "perturber" in wanted:
        images = (
            random.uniform(0.2, 1, (6, 1, 16, 24)).astype(np.float32) * (np.arange(6) % 2 * 2 - 1)[:, None, None, None]
        )
        given = (images, np.arange(6) % 2, Judge(), Negative())  # pixel by pixel, a bright image turns into a dark one
        best, poor = (metric.score(maps.astype(np.float32), *given) for maps in (np.abs(images), -np.abs(images)))
        return [found[next(iter(found))] for found in (best, poor)]
    if "maps" in wanted:
        truth = np.zeros((20, 1, 20, 28), np.float32)  # two boxes apart
        for image, (row, left, right) in zip(truth[:, 0], random.integers(1, 8, (20, 3)), strict=True):
            image[row : row + 6, left : left + 5] = image[row : row + 6, right + 13 : right + 19] = 1
        noise = random.normal(size=truth.shape)
        return [values(metric.score(maps, truth)) for maps in (truth, noise)]
    if "generator" in wanted:
        images = random.uniform(0.2, 1, (6, 1, 16, 24)).astype(np.float32)
        return [metric.score(images, Judge(), network)["flip"] for network in (Negative(), Itself())]
    labels = np.arange(20) % 2
    images = (labels * 2.0 - 1)[:, None, None, None] * np.ones((20, 1, 8, 8)) + random.normal(0, 0.1, (20, 1, 8, 8))
    return metric.score(Judge(), images, labels), metric.score(Judge(-1), images, labels)


MEASURED = {  # settings of which BETTER is, and columns of methods: the best there can be, and others
    "reconstruction": (("mse",), {"mse": 0.0}, {"mse": 0.4}),
    "convergence": (
        ("cosine", "cosine_z1", "cosine_z2", "cosine_features", "ssim"),
        {},
        {"cosine": 0.2, "ssim": -0.5},
    ),
    "completeness": (
        ("lig", "path"),
        {"completeness": 0.0, "path_completeness": 0.0},
        {"completeness": -0.3, "path_completeness": 0.2},
    ),
    "realised": (("right",), {"p_negative": 0.1}, {"p_first": 0.1, "p_second": 0.2, "p_third": 0.3}),
    "trials": (("precision", "fresh", "coverage", "holds", "ended"), {}, {"precision": 0.5, "fresh": 0.4, "ended": 0}),
    "monotony": (
        ("monotone", "nearly", "spearman", "rise", "crosses"),
        {f"p{number:02d}": 1e-9 + number / 10 for number in range(11)},
        {f"p{number:02d}": (11 - number) / 11 for number in range(11)},
    ),
}


def filled(columns, values):
    """A method's table of four images: these values, and 1 in all other columns."""
    return pd.DataFrame({name: [float(values.get(name, 1))] * 4 for name in columns})


def together(scores, settings):
    return np.concatenate([scores[setting] for setting in settings])


def values(scores):
    """All scores in one row, where a metric has several settings."""
    return np.concatenate(list(scores.values())) if isinstance(scores, dict) else scores


class Negative(nn.Module):
    def translate(self, images, labels):
        return -images

    def path(self, images, labels):
        return images, -images


class Itself(nn.Module):
    def path(self, images, labels):
        return images, images


class Latent(nn.Module):
    """Bright or dark images, as their latent's first number says."""

    z = 2

    def forward(self, latents):
        return latents[:, :1].sign()[:, :, None, None].expand(-1, 1, 8, 8)


class Sure(nn.Module):
    def forward(self, images):
        z = 20 * images.flatten(1).mean(1, keepdim=True)
        return torch.cat([-z, z], 1)


class Unsure(nn.Module):
    def forward(self, images):
        return torch.zeros(len(images), 2)


class Leaning(nn.Module):
    """Images that are bright, or dark, where z2 is something, and the other where it is nothing."""

    sizes = (3, 2)

    def __init__(self, sign):
        super().__init__()
        self.sign = sign

    def forward(self, latents):
        positive = (latents[:, 3:] != 0).any(1) * 2.0 - 1
        return (self.sign * positive)[:, None, None, None].expand(-1, 1, 4, 6)


class Half(nn.Module):
    """Certain of class 1 where the right half is bright, and of class 0 where it is not; the left says nothing."""

    def forward(self, images):
        z = 200 * (images[..., 12:].flatten(1).mean(1) - 0.8)
        return torch.stack([-z, z], 1)


class Judge(nn.Module):
    """Calls a bright image class 1, or a dark one."""

    def __init__(self, sign=1):
        super().__init__()
        self.sign = sign

    def forward(self, images):
        return torch.stack([-images.flatten(1).mean(1), images.flatten(1).mean(1)], 1) * self.sign


@pytest.mark.parametrize("name", signatures.names("metrics"))
def test_a_metric_prefers_the_perfect_and_keeps_its_range(name):
    metric = module("metrics", name)
    best, poor = (np.asarray(scores, float) for scores in perfect_and_poor(name))
    low, high = metric.RANGE
    for scores in (best, poor):
        assert scores.ndim == 1
        assert ((scores >= low - 1e-9) & (scores <= high + 1e-9)).all()
    ideal = {"higher": high, "lower": low, "middle": (low + high) / 2}[metric.BETTER]
    wanted = signatures.signature("metrics", name).positional
    if "perturber" not in wanted and name != "active_ratio":  # how much there is to lose, a case says
        assert np.isclose(best.mean(), ideal)
    assert np.abs(best - ideal).mean() < np.abs(poor - ideal).mean()


@pytest.mark.parametrize(
    "name", [n for n in signatures.names("metrics") if "samples" in signatures.signature("metrics", n).positional]
)
def test_a_metric_of_a_methods_table_finds_in_it_what_it_reads(name, tmp_path):
    metric, images = module("metrics", name), np.zeros((3, 1, *SQUARES["slice"]), np.float32)
    assert signatures.methods(name) == metric.METHODS
    for method in metric.METHODS:
        _, table = explained(method, images, networks_for("attribution", method, SQUARES["slice"]), tmp_path)
        pictures = [images] * (len(signatures.signature("metrics", name).positional) - 1)
        for scores in metric.score(table[list(metric.COLUMNS)], *pictures).values():
            assert len(scores) == 3


# --- figures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", signatures.names("figures"))
def test_a_figure_is_drawn(name):
    random = np.random.default_rng(3)
    index = pd.DataFrame({"subject": range(4), "explain": [False, True, True, True], "subtype": ["", "A", "B", "B"]})
    index["sample"] = range(4)
    history = pd.DataFrame({"step": range(4), "name": "loss", "value": random.normal(size=4)})
    curve = pd.DataFrame({"sample": [1, 2] * 2, "at": ["4", "4", "8", "8"], "value": random.uniform(size=4)})
    given = {
        "images": random.uniform(-1, 1, (4, 1, 8, 12)),
        "truth": random.integers(0, 2, (4, 1, 8, 12)),
        "index": index,
        "maps": {"one": random.normal(size=(3, 1, 8, 12)), "two": random.uniform(size=(3, 1, 8, 12))},
        "histories": {"a": [history, history], "b": [history]},
        "scores": {heading: [curve, curve] for heading in ("Random", "One: E", "One: v1", "Two: E")},
    }
    if name in ("slides", "traversal"):
        frames = [f"{number:02}" for number in range(11)]
        given["maps"] = {heading: random.uniform(size=(3, 1, 8, 12)) for heading in frames}
        given["scores"] = {"way": [scores(random, [f"p{heading}" for heading in frames])]}
    if name == "perturbed":
        given["scores"] = {}
        for heading, maps in given["maps"].items():
            strong = np.abs(maps) > 0.75 * np.abs(maps).max((1, 2, 3), keepdims=True)
            given["scores"][heading] = [scores(random, ["before", "drop"], area=strong.mean((1, 2, 3)))]
    figure = module("figures", name)
    drawn = figure.draw(**{key: given[key] for key in signatures.signature("figures", name).positional})
    assert isinstance(drawn, Figure)
    assert drawn.axes


def scores(random, settings, **known):
    """Of the three explained samples, by chance but for what is known."""
    values = {setting: random.uniform(size=3) for setting in settings} | known
    rows = [(sample, at, each[sample - 1]) for at, each in values.items() for sample in (1, 2, 3)]
    return pd.DataFrame(rows, columns=["sample", "at", "value"])
