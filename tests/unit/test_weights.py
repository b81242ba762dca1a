"""Weights describe themselves: what is saved comes back without the configuration, and nothing else can be built."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from evidence import provenance, weights
from evidence.errors import BadInput
from evidence.networks.c3d import HEADS, Classifier, Critic
from evidence.networks.unet import MapGenerator

NETWORKS = {
    "critic 2D": (Critic, {"channels": 3, "width": 2}, (3, 16, 24)),
    "critic 3D": (Critic, {"width": 2, "spatial_dims": 3}, (1, 16, 24, 32)),
    "generator 2D": (MapGenerator, {"channels": 2, "width": 2, "tanh": False}, (2, 16, 24)),
    "generator 3D": (MapGenerator, {"width": 2, "spatial_dims": 3, "zero": True}, (1, 8, 16, 24)),
    **{
        f"{head} classifier {dims}": (Classifier, {"size": size, "head": head, "width": 2, "hidden": 3}, (1, *size))
        for head in HEADS
        for dims, size in (("2D", (16, 24)), ("3D", (16, 24, 32)))
    },
    "C3D alternative": (Classifier, {"size": (16, 24), "last_block": False, "width": 2, "classes": 5}, (1, 16, 24)),
}


def made(kind, options, seed=0):
    """A network as training leaves it: its running statistics have moved."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = kind(**options)
        for layer in network.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.running_mean.normal_()
                layer.running_var.uniform_(0.5, 2)
                layer.num_batches_tracked.fill_(7)
        return network


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.safetensors"


@pytest.fixture
def several(path):
    """A file with two generators and a critic, as VA-GAN leaves it."""
    networks = {
        "generator": made(MapGenerator, {"width": 2}, 1),
        "critic": made(Critic, {"width": 2}, 2),
        "average": made(MapGenerator, {"width": 2}, 3),
    }
    weights.save(path, networks, seed="3")
    return networks


# --- there and back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", NETWORKS)
def test_a_network_comes_back_with_its_class_its_options_and_its_outputs(path, which):
    kind, options, shape = NETWORKS[which]
    network = made(kind, options)
    weights.save(path, {"network": network})
    again = weights.load(path)
    assert type(again) is kind
    assert again.options == network.options == options
    assert not any(module.training for module in again.modules())
    images = torch.randn(2, *shape, generator=torch.Generator().manual_seed(1))
    assert torch.equal(again(images), network.eval()(images))
    assert again.state_dict().keys() == network.state_dict().keys()
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in network.state_dict().items())


def test_a_network_that_came_back_can_be_saved_again(path, tmp_path):
    weights.save(path, {"network": made(*NETWORKS["dense classifier 2D"][:2])})
    weights.save(tmp_path / "again.safetensors", {"network": weights.load(path)})
    assert path.read_bytes() == (tmp_path / "again.safetensors").read_bytes()


def test_how_it_lies_in_memory_does_not_matter(path):
    network = made(Critic, {"width": 2}).to(memory_format=torch.channels_last)
    weights.save(path, {"critic": network})
    images = torch.randn(2, 1, 16, 24, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(weights.load(path)(images), network(images))


def test_how_it_was_made_can_be_read_back(path, several):
    assert provenance.facts(path) == {"seed": "3"}


def test_saving_and_loading_leave_the_ambient_generator_alone(path):
    network = made(Critic, {"width": 2})
    state = torch.get_rng_state()
    weights.save(path, {"critic": network})
    weights.load(path)
    assert torch.equal(torch.get_rng_state(), state)


def test_saving_leaves_nothing_else_behind_and_a_failure_leaves_the_old_file(path, several, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr(weights, "save_file", lambda tensors, aside, metadata: aside.write_bytes(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        weights.save(path, several)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


# --- which network of a file ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "role", "name"),
    [("", "generator", "generator"), ("#average", "generator", "average"), ("", "critic", "critic")],
)
def test_a_name_goes_before_the_role(path, several, reference, role, name):
    expected = several[name].state_dict()
    found = weights.load(f"{path}{reference}", role).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_where_nobody_asks_for_a_role_it_is_the_only_network_there_is(path):
    weights.save(path, {"critic": made(Critic, {"width": 2})})
    assert type(weights.load(path)) is Critic


def test_a_network_does_not_play_the_role_of_another_unless_it_is_named(path):
    weights.save(path, {"critic": made(Critic, {"width": 2})})
    with pytest.raises(BadInput, match="no network 'classifier'; there is: critic; name one with"):
        weights.load(path, "classifier")
    assert type(weights.load(f"{path}#critic", "classifier")) is Critic


@pytest.mark.parametrize(
    ("reference", "role", "message"),
    [
        ("#generatr", "", "no network 'generatr'; did you mean 'generator'?"),
        ("#best", "generator", "no network 'best'; there is: average, critic, generator"),
        ("", "classifier", "no network 'classifier'; there is: average, critic, generator"),
        ("", "", "there is: average, critic, generator; name one with"),
    ],
)
def test_a_name_that_is_not_there_is_refused_with_the_near_miss(path, several, reference, role, message):
    with pytest.raises(BadInput) as refusal:
        weights.load(f"{path}{reference}", role)
    assert str(path) in str(refusal.value)
    assert message in str(refusal.value)


# --- networks that are used together ----------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path):
    """Files of a generator and a critic, by role, that record these ranges; None for nothing."""

    def make(generator, critic):
        kinds = {"generator": (MapGenerator, generator), "critic": (Critic, critic)}
        for role, (kind, intensities) in kinds.items():
            facts = {} if intensities is None else {"range": intensities}
            weights.save(tmp_path / f"{role}.safetensors", {role: made(kind, {"width": 2})}, **facts)
        return {role: str(tmp_path / f"{role}.safetensors") for role in kinds}

    return make


UNIT, SIGNED = "[0, 1]", "[-1, 1]"


@pytest.mark.parametrize("ranges", [(SIGNED, SIGNED), (UNIT, None), (None, SIGNED), (None, None), ("", UNIT)])
@pytest.mark.parametrize("data", [{}, {"info.json": ""}])
def test_networks_of_one_range_come_by_their_roles(pair, ranges, data):
    """Weights, or a dataset, that say nothing of their range go with any."""
    found = weights.load_all(pair(*ranges), data)
    assert {role: type(network) for role, network in found.items()} == {"generator": MapGenerator, "critic": Critic}


def test_networks_of_two_ranges_are_refused_by_name(pair):
    paths = pair(UNIT, SIGNED)
    with pytest.raises(BadInput) as refusal:
        weights.load_all({role: f"{path}#{role}" for role, path in paths.items()})
    for word in (f"{paths['critic']} is for intensities in {SIGNED}", f"{paths['generator']} for those in {UNIT}"):
        assert word in str(refusal.value)
    assert "train them again" in str(refusal.value)


@pytest.mark.parametrize("ranges", [(UNIT, UNIT), (None, UNIT), (SIGNED, UNIT)])
def test_networks_of_another_range_than_the_images_are_refused(pair, ranges):
    paths = pair(*ranges)
    with pytest.raises(BadInput, match=r"is for intensities in \[0, 1\], but data/info.json for those in \[-1, 1\]"):
        weights.load_all(paths, {"data/info.json": SIGNED})


def test_a_network_in_two_roles_is_one_file(pair):
    path = pair(UNIT, SIGNED)["critic"]
    assert len(weights.load_all({"first": f"{path}#critic", "second": f"{path}#critic"}, {"info.json": SIGNED})) == 2


def test_a_file_that_is_missing_is_said_to_be_so(tmp_path):
    with pytest.raises(BadInput, match="missing; train the network first"):
        weights.load_all({"critic": str(tmp_path / "critic.safetensors")})


# --- files that cannot be used ----------------------------------------------------------------------------------------


def rewrite(path, tensors=None, **metadata):
    """The same file with other tensors or other words."""
    with safe_open(path, "pt") as file:
        words = {**file.metadata(), **metadata}
    save_file(load_file(path) if tensors is None else tensors, path, {k: v for k, v in words.items() if v is not None})


def refused(path, *words):
    for read in (weights.load, provenance.facts):
        with pytest.raises(BadInput) as refusal:
            read(path)
        for word in (str(path), *words):
            assert word in str(refusal.value)


def test_a_file_that_is_missing(path):
    refused(path, "missing; train the network first, or correct the path")


@pytest.mark.parametrize("keep", [0, 4, 100, -10])
def test_a_file_that_is_cut_off(path, several, keep):
    path.write_bytes(path.read_bytes()[:keep])
    refused(path, "not a whole safetensors file", "train again")


def test_a_file_that_is_no_safetensors(path):
    path.write_text("weights")
    refused(path, "not a whole safetensors file")


@pytest.mark.parametrize(
    "words",
    [None, {"format": "pt"}, {"networks": "{}"}, {"networks": "[1]"}, {"networks": "{"}, {"networks": '{"critic": 1}'}],
)
def test_a_file_that_somebody_else_made(path, words):
    save_file({"critic.weight": torch.zeros(2)}, path, words)
    with pytest.raises(BadInput, match="does not say which networks it holds; only weights made by train"):
        weights.load(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 3},  # other shapes
        {"width": 2, "channels": 2},
        {"width": 2, "spatial_dims": 3},
    ],
)
def test_weights_of_another_architecture(path, wrong):
    weights.save(path, {"critic": made(Critic, {"width": 2})})
    rewrite(path, networks=json.dumps({"critic": {"kind": "c3d.Critic", "options": wrong}}))
    with pytest.raises(BadInput, match=r"'critic' do not fit the architecture they claim \(size mismatch"):
        weights.load(path)


def test_weights_that_lack_a_layer_or_have_one_too_many(path):
    weights.save(path, {"critic": made(Critic, {"width": 2})})
    tensors = load_file(path)
    rewrite(path, {**tensors, "critic.layers.99.bias": torch.zeros(1)})
    with pytest.raises(BadInput, match=r"do not fit the architecture they claim \(Unexpected"):
        weights.load(path)
    del tensors["critic.layers.0.bias"]
    rewrite(path, tensors)
    with pytest.raises(BadInput, match=r"do not fit the architecture they claim \(Missing"):
        weights.load(path)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("c3d.Critik", {}),
        ("c4d.Critic", {}),
        ("Critic", {}),
        ("", {}),
        ("c3d.Critic", {"depth": 3}),
        ("c3d.Critic", {"spatial_dims": 4}),
        ("c3d.Critic", {"width": "wide"}),
        ("c3d.Classifier", {"size": [16, 24], "head": "dens"}),
        ("c3d.Classifier", {}),
    ],
)
def test_a_network_that_this_version_does_not_know(path, kind, options):
    save_file(
        {"critic.weight": torch.zeros(2)},
        path,
        {"networks": json.dumps({"critic": {"kind": kind, "options": options}})},
    )
    with pytest.raises(BadInput, match="which this version does not know") as refusal:
        weights.load(path)
    assert f"{path} holds a {kind}, " in str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("os.system", {"command": "touch {mark}"}),
        ("..builtins.eval", {}),
        ("...os.system", {"command": "touch {mark}"}),
        ("blocks.nn.Linear", {"in_features": 1, "out_features": 1}),
        ("c3d.torch.save", {"obj": 1, "f": "{mark}"}),
        ("c3d.DenseHead", {"dims": 2, "channels": 1, "size": [2], "classes": 2, "hidden": 2}),
        ("c3d.BadInput", {}),
        ("c3d.math", {}),
        ("blocks.initialise", {"layer": 1}),
        ("__builtins__.open", {"file": "{mark}", "mode": "w"}),
    ],
)
def test_only_networks_of_ours_can_be_built(path, tmp_path, kind, options):
    """Whatever else a file may name, be it a function, a layer or a class of another module, is not called."""
    mark = tmp_path / "mark"
    options = {k: v.format(mark=mark) if isinstance(v, str) else v for k, v in options.items()}
    save_file({"a.b": torch.zeros(2)}, path, {"networks": json.dumps({"a": {"kind": kind, "options": options}})})
    with pytest.raises(BadInput, match="which this version does not know"):
        weights.load(path)
    assert not mark.exists()
