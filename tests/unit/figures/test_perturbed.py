"""What is shown without its strongest pixels, and what its scores say of it."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from evidence import style
from evidence.errors import BadInput
from evidence.figures.perturbed import draw
from evidence.metrics import confidence_drop


class Bright(nn.Module):
    """p1 grows with the mean."""

    def forward(self, images):
        z = 3 * (images.flatten(1).mean(1) + 0.5)
        return torch.stack([-z, z], 1)


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.setenv("EVIDENCE_DEVICE", "cpu")
    yield
    style.plt.close("all")


def made(space=(7, 8), channels=3):
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (6, channels, *space)).astype(np.float32)
    maps = {name: random.normal(size=(4, 1, *space)).astype(np.float32) for name in ("Ours", "Theirs")}
    return images, maps


def scored(images, index, maps, **settings):
    """As ``scripts/evaluate.py`` writes it."""
    explained = np.flatnonzero(index["explain"])
    found = confidence_drop.score(maps, images[explained], np.ones(4, int), Bright(), **settings)
    sample = pd.array(index["sample"].iloc[explained], dtype="Int64")
    pieces = [pd.DataFrame({"sample": sample, "at": at, "value": values}) for at, values in found.items()]
    return pd.concat(pieces, ignore_index=True)


def scores_of(images, index, maps, **settings):
    return {heading: [scored(images, index, found, **settings)] for heading, found in maps.items()}


def shown(axis):
    (image,) = axis.get_images()
    return np.asarray(image.get_array())


@pytest.mark.parametrize("space", [(7, 8), (5, 6, 4)], ids=["slice", "volume"])
def test_each_image_stands_beside_what_is_left_of_it_with_its_probabilities(space, index):
    images, maps = made(space, channels=1)
    figure = draw(images, index, maps, scores_of(images, index, maps, threshold=0.3), threshold=0.3, count=2)
    *cells, beside = figure.axes
    assert [axis.get_title() for axis in cells[:3]] == ["Observed", "Ours", "Theirs"]
    for line, (sample, row) in enumerate([(1, 0), (3, 2)]):  # A, B
        observed, *others = cells[3 * line : 3 * line + 3]
        assert observed.get_ylabel() == index["subtype"][sample]
        for axis, found in zip([observed, *others], [None, *maps.values()], strict=True):
            left = images[sample].copy()
            if found is not None:
                left[np.abs(found[row]) > 0.3 * np.abs(found[row]).max()] = images[sample].mean()
            picture = left[0] if len(space) == 2 else left[0][..., 2]
            np.testing.assert_allclose(shown(axis), picture, atol=1e-6)
            p1 = 1 / (1 + np.exp(-6 * (left.mean() + 0.5)))
            assert float(axis.get_xlabel()) == pytest.approx(p1, abs=0.0051)
    assert len(cells) == 6
    assert [text.get_text() for text in beside.get_yticklabels()] == ["Ours\n4 images", "Theirs\n4 images"]


def bars_of(figure):
    """Method → its bars, before and after: the means that are drawn."""
    before, after = ([bar.get_width() for bar in container] for container in figure.axes[-1].containers[1::2])
    return list(zip(before, after, strict=True))


def test_bars_are_means_over_images_that_have_a_score_and_over_seeds(index):
    images, maps = made()
    scores = scores_of(images, index, maps)
    again = scores["Ours"][0].copy()
    again.loc[again["at"] == "drop", "value"] -= 0.1  # another seed, in which less is lost
    again.loc[again["sample"] == 12, "value"] = np.nan
    scores["Ours"] = [scores["Ours"][0], again]
    scores["Theirs"][0].loc[scores["Theirs"][0]["sample"] == 13, "value"] = np.nan
    figure = draw(images, index, maps, scores, count=9)
    wide = {
        heading: tables[0].pivot(index="sample", columns="at", values="value") for heading, tables in scores.items()
    }
    ours, theirs = wide["Ours"], wide["Theirs"].dropna()
    lost = ours["drop"] - 0.05 * (ours.index != 12)
    expected = [
        (ours["before"].mean(), (ours["before"] - lost).mean()),
        (theirs["before"].mean(), (theirs["before"] - theirs["drop"]).mean()),
    ]
    np.testing.assert_allclose(bars_of(figure), expected)
    assert figure.axes[-1].get_yticklabels()[1].get_text() == "Theirs\n3 images"
    assert len(figure.axes) == 3 * 3 + 1, "sample 13 has no score of both"
    assert [text.get_text() for text in figure.axes[-1].get_legend().get_texts()] == ["before", "after"]


def test_a_picture_by_another_rule_than_its_score_is_refused(index):
    images, maps = made()
    scores = scores_of(images, index, maps, rule="share", share=0.25)
    assert draw(images, index, maps, scores, rule="share", share=0.25)
    with pytest.raises(BadInput, match=r"Ours: 50.0% of an image's pixels are chosen, and its score is of 25.0%; give"):
        draw(images, index, maps, scores, rule="share", share=0.5)


def test_what_has_no_score_is_refused(index):
    images, maps = made()
    scores = scores_of(images, index, maps)
    with pytest.raises(BadInput, match="no scores of 'Ours'; there is: Theirs"):
        draw(images, index, maps, {"Theirs": scores["Theirs"]})
    other = [scores["Ours"][0].replace({"at": {"drop": "drops"}})]
    with pytest.raises(BadInput, match="no setting 'drop'; give those of the metric confidence_drop"):
        draw(images, index, maps, {**scores, "Ours": other})


def test_where_no_image_has_a_score_the_figure_says_so(index):
    images, maps = made()
    scores = scores_of(images, index, maps)
    scores["Ours"] = [scores["Ours"][0].assign(value=np.nan)]
    figure = draw(images, index, maps, scores)
    assert [text.get_text() for text in figure.texts] == ["No image is shown: none has a score of every method."]
