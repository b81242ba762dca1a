"""Who is in which split: the numbers of the release, no subject twice, and what cannot be split."""

import inspect

import numpy as np
import pandas as pd
import pytest

from evidence import cohort
from evidence.errors import BadInput


@pytest.fixture(scope="module")
def released():
    """10,000 subjects in the order of the released code: 2,500 A, 2,500 B, 5,000 of class 0."""
    subtype = np.repeat(["A", "B", ""], [2500, 2500, 5000])
    index = pd.DataFrame({"subject": [f"{n:05d}" for n in range(10_000)], "label": (subtype != "").astype(int)})
    return index.assign(subtype=subtype, split=cohort.split(index))


def test_the_released_split_has_its_numbers(released):
    assert released["split"].value_counts().to_dict() == {"train": 6400, "test": 2000, "validation": 1600}
    counts = released.groupby(["split", "label"]).size()
    assert counts.to_dict() == {
        (split, label): n for split, n in zip(cohort.SPLITS, (3200, 800, 1000), strict=True) for label in (0, 1)
    }


@pytest.mark.parametrize(("split", "a", "b"), [("train", 1615, 1585), ("validation", 377, 423), ("test", 508, 492)])
def test_subtypes_fall_as_in_the_release(released, split, a, b):
    chosen = released[released["split"] == split]
    assert [(chosen["subtype"] == subtype).sum() for subtype in "AB"] == [a, b]


def test_the_first_test_images_are_those_of_the_release(released, monkeypatch):
    """The order in which scikit-learn draws them does not survive in a column, so it is overheard."""
    heard, plain = [], cohort.train_test_split
    monkeypatch.setattr(cohort, "train_test_split", lambda *a, **k: heard.append(plain(*a, **k)) or heard[-1])
    again = cohort.split(released.drop(columns="split"))
    (_, tested), (_, validated) = heard
    assert tested[:5].tolist() == [7919, 911, 6631, 4536, 8486]
    assert set(tested) == set(np.flatnonzero(again == "test"))
    assert set(validated) == set(np.flatnonzero(again == "validation"))
    pd.testing.assert_series_equal(again, released["split"], check_names=False)


def cohort_of(seed):
    """Subjects with one to five scans each, shuffled; a few subjects change their label."""
    random = np.random.default_rng(seed)
    scans = random.integers(1, 6, random.integers(20, 60))
    subjects = np.repeat([f"s{n}" for n in range(len(scans))], scans)
    labels = np.repeat(np.arange(len(scans)) % 2, scans) ^ (random.uniform(size=len(subjects)) < 0.05)
    index = pd.DataFrame({"subject": subjects, "label": labels})
    return index.iloc[random.permutation(len(index))].reset_index(drop=True)


@pytest.mark.parametrize("seed", range(20))
def test_no_subject_is_in_two_splits_and_all_have_one(seed):
    index = cohort_of(seed)
    split = cohort.split(index, seed=seed)
    assert set(split) == set(cohort.SPLITS)
    assert (split.groupby(index["subject"]).nunique() == 1).all()
    firsts = index.sort_values("label", ascending=False).drop_duplicates("subject")  # of class 1 if any scan is
    by_subject = split[firsts.index]
    n = len(firsts)
    assert abs((by_subject == "test").sum() - 0.2 * n) < 1
    assert abs((by_subject == "validation").sum() - 0.16 * n) < 2
    for label in (0, 1):  # of each class its share, up to a subject for each rounding
        of_class = by_subject[firsts["label"] == label]
        assert abs((of_class == "test").sum() - 0.2 * len(of_class)) <= 1.5


def test_many_classes_are_split_alike():
    index = pd.DataFrame({"subject": [f"s{n // 2}" for n in range(1000)], "label": np.arange(1000) // 2 % 10})
    index["split"] = cohort.split(index)
    assert (index.groupby("subject")["split"].nunique() == 1).all()
    counts = index.groupby(["label", "split"]).size().unstack()
    assert counts["test"].tolist() == counts["validation"].add(4).tolist() == [20] * 10


@pytest.mark.parametrize("label", [0, 1])
def test_of_a_published_split_the_first_subject_that_is_in_two_is_named(label):
    index = pd.DataFrame(
        {"subject": list("cbcbaa"), "split": [*("train", "train", "test", "test"), "train", "validation"]}
    )
    with pytest.raises(BadInput, match="the subject a is in two splits, train and validation; mend the list"):
        cohort.split(index.assign(label=label))


def test_shares_and_seed_are_followed():
    index = cohort_of(1).drop_duplicates("subject").reset_index(drop=True)
    halves = cohort.split(index, test=0.5, validation=0.5)
    assert abs((halves == "test").mean() - 0.5) < 0.05
    assert abs((halves == "train").mean() - 0.25) < 0.05
    pd.testing.assert_series_equal(halves, cohort.split(index, test=0.5, validation=0.5))
    assert not halves.equals(cohort.split(index, test=0.5, validation=0.5, seed=1))


@pytest.mark.parametrize(
    ("labels", "counts"),
    [([0, 0, 0, 0, 0, 1], "{0: 5, 1: 1}"), ([0, 1], "{0: 1, 1: 1}"), ([0, 0, 1, 1], "{0: 2, 1: 2}")],
)
def test_too_few_subjects_are_refused_with_their_numbers(labels, counts):
    index = pd.DataFrame({"subject": [f"s{n}" for n in range(len(labels))], "label": labels})
    index = pd.concat([index] * 20)  # many scans of few subjects are still few subjects
    with pytest.raises(BadInput) as refusal:
        cohort.split(index)
    assert f"subjects a class {counts} are too few for training, validation and test" in str(refusal.value)


def test_a_split_that_lacks_a_class_is_refused_with_what_it_has():
    index = pd.DataFrame({"subject": [f"s{n}" for n in range(22)], "label": [0, 0] + [1] * 20})
    with pytest.raises(BadInput) as refusal:
        cohort.split(index)
    assert "no image of class 0 is in the validation split, which has 4 of class 1" in str(refusal.value)
    published = index.assign(split=["train", "validation"] + ["train", "validation", "test", "test"] * 5)
    with pytest.raises(BadInput, match="no image of class 0 is in the test split, which has 10 of class 1"):
        cohort.split(published)


# --- duplicates -------------------------------------------------------------------------------------------------------


def test_the_first_of_each_content_stays_and_copies_are_counted():
    index = pd.DataFrame({"content": list("abacab"), "label": [0, 1, 0, 1, 0, 1], "unit": list("uvwxyz")})
    found = cohort.without_duplicates(index)
    assert found["unit"].tolist() == ["u", "v", "x"]
    assert found["copies"].tolist() == [3, 2, 1]
    assert found.index.tolist() == [0, 1, 3], "the rows of the packed arrays are found by it"


def test_without_contents_nobody_is_a_copy():
    index = pd.DataFrame({"label": [0, 1], "unit": ["u", "v"]})
    assert cohort.without_duplicates(index)["copies"].tolist() == [1, 1]


def test_an_image_with_two_labels_is_refused_by_both_names():
    index = pd.DataFrame({"content": list("abcab"), "label": [0, 1, 0, 0, 0], "unit": list("uvwxy")})
    with pytest.raises(BadInput, match="v and y are the same image with different labels; remove one"):
        cohort.without_duplicates(index)


def test_or_by_the_names_of_their_images_where_these_are_known():
    index = pd.DataFrame({"content": list("aa"), "label": [0, 1], "unit": "000", "name": ["x.jpg", "y.jpg"]})
    with pytest.raises(BadInput, match="x.jpg and y.jpg are the same image with different labels"):
        cohort.without_duplicates(index)


@pytest.mark.parametrize("label", [2, -1])
def test_a_third_class_is_refused_by_the_name_of_an_image_and_with_how_many_there_are(label):
    index = pd.DataFrame({"label": [0, 1, 0, 1], "unit": list("uvwx")})
    assert cohort.of_classes(index) is index
    index.loc[2:, "label"] = label
    says = f"w has the label {label}, and 2 of 4 images have one that is neither 0, .*, nor 1"
    with pytest.raises(BadInput, match=says):
        cohort.of_classes(index)


@pytest.mark.parametrize("label", [10, -1, 2.5])
def test_so_is_an_eleventh(label):
    index = pd.DataFrame({"label": np.arange(20) % 10, "name": [f"{n}.png" for n in range(20)]})
    assert cohort.of_classes(index, 10) is index
    index["label"] = index["label"].where(index["label"] != 7, label)
    with pytest.raises(
        BadInput, match=f"7.png has the label {label}, and 2 of 20 .* none of 0 to 9: there are 10 classes"
    ):
        cohort.of_classes(index, 10)
    with pytest.raises(BadInput, match="classes has to be 2 or more, not 1"):
        cohort.of_classes(index, 1)


# --- who is explained -------------------------------------------------------------------------------------------------


@pytest.fixture
def index():
    random = np.random.default_rng(0)
    return pd.DataFrame({"split": random.choice(cohort.SPLITS, 200), "label": random.integers(0, 2, 200)})


def test_all_tested_images_of_the_class_of_interest_are_explained(index, released):
    np.testing.assert_array_equal(cohort.explained(index), (index["split"] == "test") & (index["label"] == 1))
    assert cohort.explained(released).sum() == 1000


def test_or_some_of_them_drawn_by_seed(index):
    everyone = cohort.explained(index)
    some = cohort.explained(index, most=10)
    assert some.sum() == 10
    assert not (some & ~everyone).any()
    np.testing.assert_array_equal(some, cohort.explained(index, most=10))
    assert not np.array_equal(some, cohort.explained(index, most=10, seed=1))
    for most in (int(everyone.sum()), int(everyone.sum()) + 1):
        np.testing.assert_array_equal(cohort.explained(index, most=most), everyone)


def test_of_the_class_of_interest_none_but_those_that_were_published(index):
    index["listed"] = np.arange(len(index)) % 3 == 0
    everyone = cohort.explained(index.drop(columns="listed"))
    np.testing.assert_array_equal(cohort.explained(index), everyone & index["listed"])
    some = cohort.explained(index, most=4, baseline=5)
    assert index["listed"][some & (index["label"] == 1)].tolist() == [True] * 4
    assert sorted(index["label"][some]) == [0] * 5 + [1] * 4
    assert not index["listed"][some & (index["label"] == 0)].all(), "no list of healthy ones is published"
    with pytest.raises(BadInput, match="names none that is tested here"):
        cohort.explained(index.assign(listed=False))


@pytest.fixture
def digits():
    random = np.random.default_rng(0)
    return pd.DataFrame({"split": random.choice(cohort.SPLITS, 600), "label": random.integers(0, 10, 600)})


def test_of_more_than_two_classes_each_is_explained(digits):
    np.testing.assert_array_equal(cohort.explained(digits, classes=10), digits["split"] == "test")
    some = cohort.explained(digits, most=3, classes=10)
    assert set(digits["split"][some]) == {"test"}
    assert digits["label"][some].value_counts().to_dict() == dict.fromkeys(range(10), 3)
    np.testing.assert_array_equal(some, cohort.explained(digits, most=3, classes=10))
    assert not np.array_equal(some, cohort.explained(digits, most=3, classes=10, seed=1))


def test_and_none_but_those_that_were_published(digits):
    digits["listed"] = np.arange(600) % 4 == 0
    everyone = (digits["split"] == "test") & digits["listed"]
    np.testing.assert_array_equal(cohort.explained(digits, classes=10), everyone)
    some = cohort.explained(digits, most=2, classes=10)
    assert not (some & ~everyone).any()
    assert digits["label"][some].value_counts().tolist() == [2] * 10
    with pytest.raises(BadInput, match="names none that is tested here"):
        cohort.explained(digits.assign(listed=digits["split"] != "test"), classes=10)


def test_of_more_than_two_classes_none_is_the_baseline(digits):
    with pytest.raises(BadInput, match="explain_baseline is 5, but of 10 classes none is the baseline; take it away"):
        cohort.explained(digits, baseline=5, classes=10)


def test_two_classes_are_explained_as_ever(index):
    """The same draws as before there could be more: the class of interest first, then the baseline."""
    index["listed"] = np.arange(len(index)) % 3 > 0
    random, expected = np.random.default_rng(7), np.zeros(len(index), bool)
    tested = index["split"] == "test"
    for able, count in ((tested & (index["label"] == 1) & index["listed"], 4), (tested & (index["label"] == 0), 6)):
        expected[random.choice(np.flatnonzero(able), count, replace=False)] = True
    np.testing.assert_array_equal(cohort.explained(index, most=4, baseline=6, seed=7), expected)


def test_the_settings_are_the_arguments_they_stand_for():
    settings = {name: p.default for name, p in inspect.signature(cohort.settings).parameters.items()}
    split = {name: p.default for name, p in inspect.signature(cohort.split).parameters.items()}
    assert settings == {
        "split_seed": split["seed"],
        "test": split["test"],
        "validation": split["validation"],
        "classes": inspect.signature(cohort.explained).parameters["classes"].default,
    }
    chosen = {name: p.default for name, p in inspect.signature(cohort.choice).parameters.items()}
    explained = {name: p.default for name, p in inspect.signature(cohort.explained).parameters.items()}
    assert chosen == {"explain": explained["most"], "explain_baseline": explained["baseline"]}
    assert settings["classes"] == inspect.signature(cohort.of_classes).parameters["classes"].default == 2
