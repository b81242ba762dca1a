"""Parts of a dataset are checked, joined and packed without a number being lost."""

import numpy as np
import pandas as pd
import pytest

from evidence import io, parts
from evidence.datasets import Part
from evidence.errors import BadInput

SPACES = [(7, 8), (7, 8, 9)]


def part_of(count, seed=0, space=(7, 8), channels=2, truth=np.uint8, unit="u"):
    """Some images, marked by the seed; truth is a type, or None."""
    random = np.random.default_rng(seed)
    images = random.uniform(-1, 1, (count, channels, *space)).astype(np.float32)
    known = None if truth is None else (random.uniform(size=(count, 1, *space)) * 3).astype(truth)
    index = pd.DataFrame({"subject": [f"00{seed}-{n}" for n in range(count)], "label": np.arange(count) % 2})
    part = Part(images, known, index)
    parts.check(part, f"{unit}{seed}")
    return part


@pytest.fixture
def packed(tmp_path):
    """Parts and rows → shape, whether truth is known, images, truth, index."""

    def pack(made, rows):
        paths = [tmp_path / f"{number}.npz" for number in range(len(made))]
        for path, part in zip(paths, made, strict=True):
            parts.save(path, part)
        shape, known = parts.pack(paths, np.asarray(rows), tmp_path / "images.npy", tmp_path / "truth.npy")
        index = pd.concat([parts.load_index(path) for path in paths], ignore_index=True)
        return shape, known, io.load_array(tmp_path / "images.npy"), io.load_array(tmp_path / "truth.npy"), index

    return pack


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_packing_is_concatenation_of_the_chosen_rows(packed, space, kind):
    made = [part_of(count, seed, space, truth=kind) for seed, count in enumerate((3, 1, 4))]
    rows = [7, 0, 2, 4, 3]
    shape, known, images, truth, index = packed(made, rows)
    assert shape == [5, 2, *space]
    assert known
    assert (images.dtype, truth.dtype) == (np.float32, kind)
    np.testing.assert_array_equal(images, np.concatenate([part.images for part in made])[rows])
    np.testing.assert_array_equal(truth, np.concatenate([part.truth for part in made])[rows])
    pd.testing.assert_frame_equal(index, pd.concat([part.index for part in made], ignore_index=True), check_dtype=False)
    assert index["subject"][0] == "000-0", "a subject is a word, not a number"


@pytest.mark.parametrize("seed", range(10))
def test_rows_may_be_any_of_all_parts_and_parts_may_be_empty(packed, seed):
    random = np.random.default_rng(seed)
    made = [part_of(count, number) for number, count in enumerate(random.integers(1, 5, 4))]
    made.insert(int(random.integers(0, 5)), parts.joined([]))
    total = sum(len(part.images) for part in made)
    rows = random.permutation(total)[: random.integers(1, total + 1)]
    shape, _, images, truth, _ = packed(made, rows)
    everything = [part for part in made if len(part.images)]
    assert shape[0] == len(rows)
    np.testing.assert_array_equal(images, np.concatenate([part.images for part in everything])[rows])
    np.testing.assert_array_equal(truth, np.concatenate([part.truth for part in everything])[rows])


def test_without_any_truth_the_array_of_truth_has_no_sample(packed, tmp_path):
    made = [part_of(2, 0, truth=None), part_of(3, 1, truth=None)]
    shape, known, images, truth, index = packed(made, [0, 3])
    assert (shape, known, truth.shape) == ([2, 2, 7, 8], False, (0, 1, 7, 8))
    np.testing.assert_array_equal(images[1], made[1].images[1])
    assert io.load_truth(tmp_path / "truth.npy") is None
    assert not index["has_truth"].any()


def test_where_some_have_no_truth_theirs_is_zero_and_says_so(packed):
    made = [part_of(2, 0, truth=None), part_of(3, 1, truth=np.float32)]
    _, known, _, truth, index = packed(made, range(5))
    assert known
    assert not truth[:2].any()
    np.testing.assert_array_equal(truth[2:], made[1].truth)
    assert index["has_truth"].tolist() == [False] * 2 + [True] * 3


@pytest.mark.parametrize("space", SPACES)
def test_joining_parts_is_concatenation(space):
    made = [part_of(2, 0, space), part_of(1, 1, space, truth=None), part_of(3, 2, space)]
    whole = parts.joined(made)
    np.testing.assert_array_equal(whole.images, np.concatenate([part.images for part in made]))
    np.testing.assert_array_equal(whole.truth[[0, 1, 3, 4, 5]], np.concatenate([made[0].truth, made[2].truth]))
    assert not whole.truth[2].any()
    assert whole.index["unit"].tolist() == ["u0"] * 2 + ["u1"] + ["u2"] * 3
    assert whole.index.index.tolist() == list(range(6))
    assert parts.joined(made[1:2]).truth is None
    assert len(parts.joined([]).images) == 0


@pytest.mark.parametrize(("name", "change"), [("channels", {"channels": 1}), ("space", {"space": (8, 7)})])
def test_images_of_two_shapes_are_refused_by_both_names(packed, name, change):
    made = [part_of(2, 0), part_of(2, 1), part_of(2, 2, **change)]
    shapes = [tuple(part.images.shape[1:]) for part in made]
    with pytest.raises(BadInput) as refusal:
        parts.joined(made)
    assert f"u2 has shape {shapes[2]}, but u0 has {shapes[0]} (channels first)" in str(refusal.value)
    with pytest.raises(BadInput) as refusal:
        packed(made, range(6))
    for word in ("2.npz has shape", str(shapes[2]), "0.npz has", str(shapes[0])):
        assert word in str(refusal.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_image_that_is_not_finite_is_refused_by_its_unit(value):
    part = part_of(3)
    part.images[1, 0, 2, 3] = value
    with pytest.raises(BadInput, match="patient 7: the image holds NaN or infinite values; mend or remove it"):
        parts.check(part, "patient 7")


def test_images_of_another_type_or_without_channels_are_refused():
    part = part_of(3)
    for wrong in (part.images.astype(np.float64), part.images[:, 0]):
        with pytest.raises(BadInput) as refusal:
            parts.check(Part(wrong, None, part.index), "patient 7")
        message = (
            f"patient 7: prepared images must be float32 (sample, channel, *space), not {wrong.dtype} {wrong.shape}"
        )
        assert str(refusal.value) == message


def test_a_truth_of_another_size_is_refused():
    part = part_of(3)
    part.truth = part.truth[..., :-1]
    with pytest.raises(BadInput, match=r"patient 7: truth of \(7, 7\) does not fit images of \(7, 8\)"):
        parts.check(part, "patient 7")


def test_who_has_a_truth_may_be_known_one_by_one():
    part = part_of(2)
    part.index["has_truth"] = [True, False]
    parts.check(part, "u")
    assert part.index["has_truth"].tolist() == [True, False]


@pytest.mark.parametrize("keep", [0, 3, 100, -30])
def test_a_part_that_is_cut_off_is_refused_by_its_name(tmp_path, keep):
    path = tmp_path / "3of7.npz"
    parts.save(path, part_of(3))
    path.write_bytes(path.read_bytes()[:keep])
    for read in (parts.load_index, lambda p: parts.pack([p], np.arange(3), tmp_path / "i.npy", tmp_path / "t.npy")):
        with pytest.raises(
            BadInput, match="3of7.npz is not a whole part of a dataset .*; delete it and prepare it again"
        ):
            read(path)
    assert list(tmp_path.iterdir()) == [path], "and nothing half-written stays behind"


def test_a_part_with_a_flipped_bit_is_refused_by_its_name(tmp_path):
    path = tmp_path / "3of7.npz"
    parts.save(path, part_of(3))
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadInput, match="3of7.npz is not a whole part"):
        parts.pack([path], np.arange(3), tmp_path / "i.npy", tmp_path / "t.npy")
