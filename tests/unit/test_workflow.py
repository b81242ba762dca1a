"""The plan: what it refuses, and what it answers."""

import copy
import json
import shlex
import subprocess
import sys

import pytest
import yaml

from evidence import checks, io, pages, raw
from evidence.errors import BadInput
from evidence.sources import has_code, imports
from evidence.workflow import Plan
from tests.conftest import merged


@pytest.fixture
def config(root):
    return yaml.safe_load((root / "config.yaml").read_text())


def refusal(config, root) -> str:
    with pytest.raises(BadInput) as caught:
        Plan(config, root)
    return str(caught.value)


def put(config, where, value):
    """Set one value deep in a configuration."""
    entry = config
    for key in where[:-1]:
        entry = entry[key]
    entry[where[-1]] = value


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        (("papres",), [], ["'papres'", "did you mean 'papers'?"]),
        (("models", "vagan", "stepz"), 5, ["models.vagan", "'stepz'", "did you mean 'steps'?"]),
        (("models", "vagn"), {}, ["models.vagn", "'vagn'", "did you mean 'vagan'?"]),
        (("models", "mine"), {"kind": "clasifier"}, ["models.mine", "'clasifier'", "did you mean 'classifier'?"]),
        (("methods", "cam", "needs"), {"clasifier": "classifier"}, ["methods.cam.needs", "did you mean 'classifier'?"]),
        (
            ("methods", "cam", "needs"),
            {"classifier": "cam_clasifier"},
            ["methods.cam", "did you mean 'cam_classifier'?"],
        ),
        (
            ("methods", "vagan", "needs"),
            {"generator": "vagan.averge"},
            ["networks of vagan", "did you mean 'average'?"],
        ),
        (("methods", "vagan", "needs"), {"generator": "classifier"}, ["networks of classifier", "'generator'"]),
        (("methods", "vagan", "needs"), {"generator": "vagan.settled"}, ["saves no settled", "models.vagan.settle"]),
        (("models", "vagan", "average"), 0.0, ["vagan saves no average unless average is set"]),
        (("methods", "cam", "needs"), {}, ["methods.cam", "'classifier'", "needs"]),
        (("methods", "cam", "lable"), 1, ["methods.cam", "did you mean 'label'?"]),
        (("metrics", "auc", "needs"), {}, ["metrics.auc", "'classifier'"]),
        (("datasets", "synthetic", "cout"), 8, ["datasets.synthetic", "did you mean 'count'?"]),
        (("datasets", "synthetic", "source"), "phantoms", ["datasets.synthetic.source", "did you mean 'phantom'?"]),
        (("datasets", "synthetic", "vagan"), {"lamb": 3}, ["datasets.synthetic.vagan", "did you mean 'lam'?"]),
        (("datasets", "my data"), {"kind": "folder"}, ["datasets.my data", "letters"]),
        (("seeds",), ["a"], ["seeds", "whole numbers"]),
        (("seeds",), [], ["seeds"]),
        (("papers",), ["baumgartner2019"], ["'baumgartner2019'", "did you mean 'baumgartner2018'?"]),
        (("papers",), ["baumgartner2018/table2"], ["'table2'", "did you mean 'table1'?"]),
        (("models", "vagan"), 7, ["models.vagan", "mapping"]),
        (("raw",), {"synthetc": "/x"}, ["raw", "'synthetc'"]),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else None,
)
def test_a_wrong_name_is_refused_with_its_place_and_the_near_miss(config, root, where, value, words):
    put(config, where, value)
    if where == ("raw",):
        with pytest.raises(BadInput) as caught:
            Plan(config, root).environment()
        message = str(caught.value)
    else:
        message = refusal(config, root)
    for word in words:
        assert word in message


def test_a_table_that_names_an_absent_method_says_which_paper(config, root):
    del config["methods"]["cam"]
    message = refusal(config, root)
    assert "papers/baumgartner2018.yaml" in message
    assert "'cam'" in message


def test_models_in_a_circle_are_refused():
    models = {"a": {"needs": {"x": "b"}}, "b": {"needs": {"x": "a.network"}}}
    with pytest.raises(BadInput, match="circle: a → b → a"):
        checks._circles(models)


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        (("models", "vagan", "norm"), "colum", ["models.vagan.norm", "did you mean 'column'?"]),
        (("models", "vagan", "steps"), "many", ["models.vagan.steps", "'many' is no int"]),
        (("models", "vagan", "steps"), 2.5, ["models.vagan.steps", "2.5 is no int"]),
        (("models", "vagan", "tanh"), "no", ["models.vagan.tanh", "'no' is no bool"]),
        (("models", "vagan", "lr"), True, ["models.vagan.lr", "True is no float"]),
        (("datasets", "synthetic", "count"), "all", ["datasets.synthetic.count", "'all' is no int"]),
        (("datasets", "synthetic", "resources"), {"mem_gb": 3}, ["resources", "did you mean 'mem_mb'?"]),
        (("datasets", "synthetic", "classifier"), {"kind": "vagan"}, ["datasets.synthetic.classifier", "'kind'"]),
        (("datasets", "synthetic", "parts"), 0, ["parts", "whole number from 1"]),
        (("datasets", "synthetic", "parts"), "two", ["parts", "whole number from 1"]),
        (("scale",), "my scale", ["scale", "'my scale'"]),
        (("models",), None, ["models must be a mapping"]),
        (("methods", "cam", "needs"), "cam_classifier", ["methods.cam", "needs"]),
        (("models", "vagan", "seeds"), [0, 3], ["models.vagan.seeds: [3] are not among the seeds of the scale, [0]"]),
        (("methods", "cam", "seeds"), "first", ["methods.cam.seeds: first must be a list of whole numbers from 0"]),
        (("datasets", "synthetic", "seeds"), [], ["datasets.synthetic.seeds: [] must be a list of whole numbers"]),
        (("metrics", "ncc", "seeds"), [0], ["metrics.ncc", "'seeds'"]),
        (("methods", "cam", "explain"), "some", ["methods.cam.explain", "'some'", "whole number"]),
        (("methods", "cam", "explain"), -1, ["methods.cam.explain", "-1", "whole number"]),
        (("methods", "cam", "explain"), True, ["methods.cam.explain", "True", "whole number"]),
        (("datasets", "synthetic", "resources"), 5, ["datasets.synthetic.resources must be a mapping", "not 5"]),
        (("datasets", "synthetic", "classifier"), 5, ["datasets.synthetic.classifier must be a mapping", "not 5"]),
        (("datasets", "cohort"), {"kind": "folder", "baseline": False}, ["cohort.baseline: False is no word", "quote"]),
        (("datasets", "cohort"), {"kind": "folder", "percentiles": 5}, ["percentiles: 5 must be a list, 2 of them"]),
        (
            ("datasets", "cohort"),
            {"kind": "folder", "percentiles": [1]},
            ["percentiles: [1] must be a list, 2 of them"],
        ),
        (("models", "cyce", "widths"), [8, "a"], ["models.cyce.widths: 'a' in it is no int"]),
        (("models", "cyce", "widths"), 8, ["models.cyce.widths: 8 must be a list, [int, ...]"]),
        (("papers",), [], ["papers: [] must be a list of papers"]),
        (("papers",), None, ["papers: None must be a list of papers"]),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else None,
)
def test_a_wrong_value_is_refused_before_the_first_job(config, root, where, value, words):
    put(config, where, value)
    message = refusal(config, root)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "where", [("models", "vagan", "needs"), ("datasets", "synthetic", "resources"), ("datasets", "synthetic", "vagan")]
)
def test_an_entry_that_says_nothing_is_as_if_it_were_not_there(config, root, where):
    without = Plan(config, root)
    put(config, where, None)
    plan = Plan(config, root)
    assert plan.options("models", "vagan", dataset="synthetic") == without.options(
        "models", "vagan", dataset="synthetic"
    )
    assert plan.resource("synthetic", "threads", 7) == 7 or where[-1] != "resources"
    assert plan.weights("models", "vagan", "synthetic", 0) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coutn": 8}, "figures.figure4.options: unknown name 'coutn'; did you mean 'count'?"),
        ({"count": "many"}, "figures.figure4.options.count: 'many' is no int"),
        ({"healed": "VAGAN"}, "figures.figure4.options.healed, among the methods: unknown name 'VAGAN'"),
        ({"pictures": ["CAN"]}, "figures.figure4.options.pictures, among the methods: unknown name 'CAN'"),
    ],
)
def test_a_wrong_option_of_a_figure_is_refused_before_the_first_job(config, root, monkeypatch, options, message):
    paper = copy.deepcopy(pages.load(str(root / "papers" / "baumgartner2018.yaml")))
    paper["figures"]["figure4"]["options"] = options
    monkeypatch.setattr(pages, "load", lambda path: paper)
    config["papers"] = ["baumgartner2018"]
    assert message in refusal(config, root)


def test_seeds_and_papers_may_come_from_the_command_line(config, root):
    config |= {"seeds": ["0", "1", "1"], "papers": "baumgartner2018"}
    plan = Plan(config, root)
    assert plan.seeds == [0, 1]
    assert list(plan.items) == ["baumgartner2018"]
    assert Plan({**config, "seeds": 3}, root).seeds == [3]


@pytest.fixture
def replicated(config):
    """Three seeds, but for one model, one method and one dataset."""
    config["seeds"] = [0, 1, 2]
    config["models"]["classifier"]["seeds"] = [0, 2]
    config["methods"]["cam"]["seeds"] = 1
    config["datasets"]["fixed"] = {"kind": "synthetic", "seeds": ["0"]}
    return config


def test_an_entry_has_the_seeds_that_it_and_all_behind_it_allow(replicated, root):
    plan = Plan(replicated, root)
    assert plan.seeds_of("synthetic", "models", "vagan") == [0, 1, 2]
    assert plan.seeds_of("synthetic", "models", "classifier") == [0, 2]
    assert plan.seeds_of("synthetic", "methods", "gradient") == [0, 2]
    assert plan.seeds_of("synthetic", "methods", "cam") == [1]
    assert plan.seeds_of("synthetic", "metrics", "auc") == [0, 2]
    assert plan.seeds_of("fixed", "models", "vagan") == [0]
    assert "seeds" not in plan.options("models", "classifier") + plan.dataset_settings("fixed")


def test_what_a_model_behind_a_model_allows_counts(config, root):
    config["seeds"] = [0, 1]
    plan = Plan(config, root)
    config["models"]["vagan"]["needs"] = {"critic": "classifier"}  # no model of ours needs another yet
    config["models"]["classifier"]["seeds"] = [1]
    assert plan.seeds_of("synthetic", "methods", "vagan") == [1]


def test_tables_figures_and_pages_ask_for_the_seeds_that_there_are(replicated, root):
    plan = Plan(replicated, root)
    found = plan.scores("baumgartner2018", "table1")
    of = {method: [path[-9] for path in found if f"/{method}/" in path] for method in ("gradient", "cam", "vagan")}
    assert of == {"gradient": ["0", "2"], "cam": ["1"], "vagan": ["0", "1", "2"]}
    shown = plan.figure("baumgartner2018", "figure4").files()["maps"]
    assert [path.split("/")[-2] for path in shown] == ["seed0", "seed0", "seed1", "seed0"]
    assert len(plan.figure("baumgartner2018", "curves").files()["histories"]) == 2 + 3 + 3
    assert plan.figure("baumgartner2018", "curves").flags().count("Classifier=") == 2
    behind = plan.ingredients("baumgartner2018")
    assert sum("/models/classifier/" in path for path in behind["weights"]) == 2
    assert sum("/models/cam_classifier/" in path for path in behind["weights"]) == 3, "its accuracy has all seeds"
    assert [path for path in behind["samples"] if "/cam/" in path] == [
        "results/quick/synthetic/maps/cam/seed1/samples.parquet"
    ]


def test_an_entry_without_a_seed_is_refused_with_the_paper_that_asks_for_it(replicated, root):
    replicated["models"]["cam_classifier"]["seeds"] = [0]
    message = refusal(replicated, root)
    for word in ("papers/baumgartner2018.yaml: methods.cam has no seed on synthetic", "none of [0, 1, 2] in common"):
        assert word in message


def test_what_is_called_like_an_optional_item_is_asked_for_by_name(config, root):
    """The table on jitter and the claim about it have one name; asking for it alone asks for nothing else."""
    plan = Plan(config, root)
    assert "jitter" not in plan.tables("baumgartner2018") + plan.claims("baumgartner2018")
    overlay = yaml.safe_load((root / "scales" / "paper.yaml").read_text())
    plan = Plan(merged(config, {**overlay, "papers": ["baumgartner2018/jitter"]}), root)
    assert plan.items == {"baumgartner2018": {"tables": ["jitter"], "figures": [], "claims": ["jitter"]}}
    ends = [f"{dataset}/scores/ncc/vagan_steady/seed{seed}.parquet" for dataset, seed in
            (("synthetic", 0), ("synthetic", 1), ("synthetic", 2), ("synthetic_fixed", 0))]  # fmt: skip
    assert plan.scores("baumgartner2018") == [f"results/paper/{end}" for end in ends]
    assert plan.score_flags("baumgartner2018").endswith("--sources synthetic=generated synthetic_fixed=generated")
    assert plan.claim_files("baumgartner2018")


def test_a_claim_that_names_an_absent_metric_says_which_paper(config, root):
    del config["metrics"]["edge"]
    message = refusal(config, root)
    assert "papers/baumgartner2018.yaml" in message
    assert "'edge'" in message


def test_a_paper_without_claims_has_no_files_of_them(config, root):
    overlay = yaml.safe_load((root / "scales" / "real.yaml").read_text())
    assert Plan(merged(config, overlay), root).claim_files("cohort") == []


def test_options_are_sorted_quoted_and_of_the_entry_alone(config, root):
    config["models"]["vagan"] = {"steps": 3, "lam": 1.5, "norm": "sample", "tanh": False, "average": 0.9}
    expected = "vagan --average 0.9 --lam 1.5 --norm sample --steps 3 --tanh false"
    assert Plan(config, root).options("models", "vagan") == expected


def test_a_dataset_changes_a_model_for_itself_alone(config, root):
    config["datasets"]["cohort"] = {"kind": "brain_mri", "vagan": {"lam": 2.0}}
    plan = Plan(config, root)
    assert "--lam 2.0" in plan.options("models", "vagan", dataset="cohort")
    assert "--lam 17.5" in plan.options("models", "vagan", dataset="synthetic")


def test_a_dataset_may_ask_for_a_network_that_a_model_saves_on_request(config, root):
    config["methods"]["vagan"]["needs"] = {"generator": "vagan.settled"}
    config["datasets"]["synthetic"]["vagan"] = {"settle": 2}
    assert "vagan" in Plan(config, root).labels("methods")


def test_each_function_of_a_dataset_gets_the_settings_it_takes(config, root):
    config["datasets"]["cohort"] = {"kind": "folder", "baseline": "ok", "size": 32, "explain": 4, "parts": 3}
    plan = Plan(config, root)
    assert plan.options("datasets", "cohort", function="fetch") == "folder --baseline ok"
    assert plan.options("datasets", "cohort", function="prepare") == "folder --baseline ok --size 32"
    assert plan.options("datasets", "cohort", function="pack") == ""
    assert plan.options("datasets", "cohort", function="choose") == "--explain 4"
    assert json.loads(shlex.split(plan.dataset_settings("cohort"))[0]) == {
        "kind": "folder",
        "baseline": "ok",
        "size": 32,
    }
    config["datasets"]["cohort"]["count"] = 9  # of a phantom, and these are real
    assert "count" not in Plan(config, root).dataset_settings("cohort")
    assert plan.part_files("cohort") == [f"results/quick/cohort/data/parts/{i}of3.npz" for i in range(3)]


def test_weights_are_given_by_role_and_network(config, root):
    plan = Plan(config, root)
    path = "results/quick/synthetic/models/vagan/seed4/weights.safetensors"
    assert plan.weights("methods", "vagan", "synthetic", 4) == [path]
    assert plan.given("methods", "vagan", "synthetic", 4) == f"--generator '{path}#average'"


@pytest.fixture
def several(config):
    """A method with several maps, in a table."""
    config["methods"]["syce"] = {"kind": "counterfactual", "needs": {"classifier": "classifier", "generator": "vagan"}}
    return config


def test_one_of_a_methods_maps_is_asked_for_by_its_name(several, root, monkeypatch):
    monkeypatch.setattr(Plan, "paper", lambda self, name: shown("syce.v1", "syce.v2k"))
    plan = Plan(several, root)
    assert plan.maps_of("syce.v2k", "synthetic", 3) == "results/quick/synthetic/maps/syce/seed3/maps.npy"
    assert plan.map_given("syce.v2k", "synthetic", 3) == "results/quick/synthetic/maps/syce/seed3/maps.npy#v2k"
    assert plan.map_given("cam", "synthetic", 3).endswith("/cam/seed3/maps.npy")
    assert plan.scores("baumgartner2018", "table1") == ["results/quick/synthetic/scores/ncc/syce/seed0.parquet"]
    assert plan.ingredients("baumgartner2018")["samples"] == ["results/quick/synthetic/maps/syce/seed0/samples.parquet"]
    assert plan.figure("baumgartner2018", "figure4").files()["maps"] == 2 * [
        "results/quick/synthetic/maps/syce/seed0/maps.npy"
    ]
    assert (
        "syce.v1=results/quick/synthetic/maps/syce/seed0/maps.npy#v1"
        in plan.figure("baumgartner2018", "figure4").flags()
    )
    monkeypatch.setattr(
        Plan, "paper", lambda self, name: shown("syce.v1", "syce.v2k", kind="perturbation", metric="ncc")
    )
    assert plan.figure("baumgartner2018", "figure4").files()["scores"] == [
        "results/quick/synthetic/scores/ncc/syce/seed0.parquet"
    ]
    assert (
        "syce.v2k=results/quick/synthetic/scores/ncc/syce/seed0.parquet#v2k"
        in plan.figure("baumgartner2018", "figure4").flags()
    )


def shown(*methods, **others):
    """A paper with one table and one figure of these methods."""
    of = {method: method for method in methods}
    table = {"rows": {"method": of}, "fixed": {"dataset": "synthetic", "metric": "ncc"}}
    figure = {"kind": "gallery", "dataset": "synthetic", "methods": of, **others}
    return {"tables": {"table1": table}, "figures": {"figure4": figure}, "claims": {}}


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("syce", "syce draws several maps: ask for one of syce.difference, syce.v1, syce.v2, syce.v2k"),
        ("syce.v3", "among the maps of syce: unknown name 'v3'; there is: difference, v1, v2, v2k"),
        ("cam.v1", "cam.v1: cam draws one map, which is called cam"),
    ],
)
def test_a_map_that_is_not_drawn_is_refused(several, root, monkeypatch, method, words):
    monkeypatch.setattr(Plan, "paper", lambda self, name: shown(method))
    assert f"papers/baumgartner2018.yaml: {words}" in refusal(several, root)


@pytest.fixture
def measured(config):
    """A method of eleven maps, whose table a metric reads."""
    config["models"]["medxgan"] = {"needs": {"classifier": "classifier"}}
    roles = {"generator": "medxgan", "classifier": "classifier"}
    config["methods"] |= {
        "way": {"kind": "traversal", "latents": "found", "needs": roles},
        "found": {"kind": "inversion", "needs": roles},
    }
    config["metrics"] |= {"rising": {"kind": "monotony"}}
    return config


def test_a_method_that_starts_from_latents_waits_for_their_inversion(measured, root):
    measured["seeds"], measured["methods"]["found"]["seeds"] = [0, 1], [1]
    plan = Plan(measured, root)
    table = "results/quick/synthetic/maps/found/seed1/samples.parquet"
    assert plan.latents_for("way", "synthetic", 1) == [table]
    assert plan.latents_for("found", "synthetic", 1) == []
    assert plan.seeds_of("synthetic", "methods", "way") == [1]


@pytest.mark.parametrize(
    ("method", "latents", "words"),
    [
        ("way", None, "methods.way starts from latents: add latents: <label of an inversion>"),
        ("way", "fond", "among the methods: unknown name 'fond'; did you mean 'found'?"),
        ("way", "cam", "methods.way.latents: cam is of the kind cam, and no inversion"),
        ("cam", "found", "methods.cam.latents: cam starts from no latents; take it away"),
    ],
)
def test_latents_of_nowhere_are_refused(measured, root, method, latents, words):
    measured["methods"][method]["latents"] = latents
    assert words in refusal(measured, root)


def test_latents_of_another_generator_are_refused(measured, root):
    found = measured["methods"]["found"]
    found["needs"] = {**found["needs"], "generator": "vagan.best"}
    assert "and found inverts that of vagan.best; use one for both" in refusal(measured, root)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"initial": "encoder"}, "methods.found: initial: encoder, and an encoder among its needs, go together"),
        ({"needs": {"encoder": "medxgan.encoder"}}, "methods.found: initial: encoder, and an encoder among its needs"),
        ({"initial": "encoder", "needs": {"encoder": "other.encoder"}}, "has to be of the model that the generator is"),
    ],
)
def test_an_inversion_that_starts_from_no_encoder_of_its_generator_is_refused(measured, root, said, words):
    measured["models"]["medxgan"]["likeness"] = 1.0
    measured["models"]["other"] = {**measured["models"]["medxgan"], "kind": "medxgan"}
    found = measured["methods"]["found"]
    found |= said | {"needs": {**found["needs"], **said.get("needs", {})}}
    assert words in refusal(measured, root)


def test_a_method_may_be_asked_for_some_of_the_images(measured, root):
    measured["methods"]["cam"] |= {"explain": 3}
    plan = Plan(measured, root)
    assert plan.explained("cam") == "--explain 3"
    assert plan.explained("found") == ""
    assert "explain" not in plan.options("methods", "cam")
    measured["methods"]["way"]["explain"] = 3
    assert "methods.way.explain: found inverts others than these; say the same of both" in refusal(measured, root)
    measured["methods"]["found"]["explain"] = 3
    assert Plan(measured, root).explained("way") == "--explain 3"


def scored_by(metric, method):
    """A paper that shows a method by a metric, in a table and in a figure."""
    paper = shown(method, kind="perturbation", metric=metric)
    paper["tables"]["table1"]["fixed"]["metric"] = metric
    return paper


def test_a_metric_of_a_methods_table_asks_for_none_of_its_maps(measured, root, monkeypatch):
    monkeypatch.setattr(Plan, "paper", lambda self, name: scored_by("rising", "way"))
    plan = Plan(measured, root)
    path = "results/quick/synthetic/scores/rising/way/seed0.parquet"
    assert plan.scores("baumgartner2018", "table1") == [path]
    assert f"way={path}" in plan.figure("baumgartner2018", "figure4").flags()
    both = [f"results/quick/synthetic/maps/{method}/seed0/samples.parquet" for method in ("found", "way")]
    assert plan.ingredients("baumgartner2018")["samples"] == both, "its inversion is behind the page too"


@pytest.mark.parametrize(
    ("metric", "method", "words"),
    [
        ("rising", "way.f03", "way.f03: this metric is of the method, and not of one of its maps; ask for way"),
        ("rising", "found", "rising reads what traversal measures, and found is of the kind inversion"),
        ("rising", "cam", "rising reads what traversal measures, and cam is of the kind cam"),
        ("ncc", "way", "way draws several maps: ask for one of way.f00, way.f01"),
        ("risng", "way", "unknown name 'risng'; did you mean 'rising'?"),
    ],
)
def test_a_metric_that_cannot_score_a_method_is_refused(measured, root, monkeypatch, metric, method, words):
    for section in ("tables", "figures"):
        paper = scored_by(metric, method)
        monkeypatch.setattr(Plan, "paper", lambda self, name, paper={**paper, section: {}}: paper)
        assert words in refusal(measured, root)


def flags_of(plan, name):
    """Flag → what stands behind it in the command line of a figure."""
    words, found = shlex.split(plan.figure("baumgartner2018", name).flags()), {}
    for word in words[1:]:
        if word.startswith("--"):
            values = found.setdefault(word, [])
        else:
            values.append(word)
    return found


def test_a_figure_of_maps_and_of_their_method_has_the_scores_of_each_seed_once(measured, root, monkeypatch):
    measured["seeds"] = [0, 1, 2]
    measured["methods"]["way"]["seeds"] = [1, 2]
    figure = {"kind": "traversal", "dataset": "synthetic", "metric": "rising", "options": {"at": ["p00", "p10"]}}
    paper = shown("way.f00") | {"figures": {"figure5": {**figure, "methods": {"0": "way.f00", "1": "way.f10"}}}}
    monkeypatch.setattr(Plan, "paper", lambda self, name: paper)
    plan, folder = Plan(measured, root), "results/quick/synthetic"
    maps = f"{folder}/maps/way/seed1/maps.npy"
    scores = [f"{folder}/scores/rising/way/seed{seed}.parquet" for seed in (1, 2)]
    beside = maps.replace("maps.npy", "samples.parquet")
    files = {"maps": [maps, maps], "samples": [beside, beside], "scores": scores, "histories": []}
    assert plan.figure("baumgartner2018", "figure5").files() == files
    assert flags_of(plan, "figure5") == {
        "--at": ['["p00", "p10"]'],
        "--maps": [f"0={maps}#f00", f"1={maps}#f10"],
        "--scores": [f"way={path}" for path in scores],
    }
    behind = plan.ingredients("baumgartner2018")
    both = [f"{folder}/maps/{method}/seed{seed}/samples.parquet" for method in ("found", "way") for seed in (1, 2)]
    assert behind["samples"] == both


def test_a_figure_of_maps_and_of_their_scores_has_both_under_one_heading(several, root, monkeypatch):
    several["seeds"] = [0, 1]
    several["metrics"]["lost"] = {"kind": "confidence_drop", "needs": {"classifier": "classifier"}}
    several["models"]["classifier"]["seeds"] = [1]
    monkeypatch.setattr(Plan, "paper", lambda self, name: shown("syce.v1", "vagan", kind="perturbed", metric="lost"))
    plan, folder = Plan(several, root), "results/quick/synthetic"
    assert flags_of(plan, "figure4") == {
        "--maps": [f"syce.v1={folder}/maps/syce/seed1/maps.npy#v1", f"vagan={folder}/maps/vagan/seed1/maps.npy"],
        "--scores": [
            f"syce.v1={folder}/scores/lost/syce/seed1.parquet#v1",
            f"vagan={folder}/scores/lost/vagan/seed1.parquet",
        ],
    }, "VA-GAN's maps are those that are scored, though it has another seed before"


def test_frames_may_be_shown_without_scores_and_scores_without_maps(measured, root, monkeypatch):
    monkeypatch.setattr(Plan, "paper", lambda self, name: shown("way.f00", "way.f10", kind="traversal"))
    assert set(flags_of(Plan(measured, root), "figure4")) == {"--maps"}
    monkeypatch.setattr(Plan, "paper", lambda self, name: scored_by("rising", "way"))
    assert set(flags_of(Plan(measured, root), "figure4")) == {"--scores"}


@pytest.mark.parametrize(
    ("method", "others", "words"),
    [
        (
            "way.f11",
            {"kind": "traversal", "metric": "rising"},
            "among the maps of way: unknown name 'f11'; did you mean 'f1",
        ),
        ("way", {"kind": "traversal", "metric": "rising"}, "way draws several maps: ask for one of way.f00"),
        ("found", {"kind": "traversal", "metric": "rising"}, "rising reads what traversal measures, and found is"),
        (
            "cam",
            {"kind": "gallery", "metric": "ncc"},
            "figures.figure4: a gallery shows no scores; leave out the metric",
        ),
        ("cam", {"kind": "perturbation"}, "figures.figure4: a perturbation shows scores; name the metric"),
        ("cam", {"kind": "galery"}, "there is no 'galery' in figures; did you mean 'gallery'?"),
    ],
)
def test_a_figure_that_cannot_be_drawn_is_refused(measured, root, monkeypatch, method, others, words):
    monkeypatch.setattr(Plan, "paper", lambda self, name: {**shown(method, **others), "tables": {}})
    assert f"papers/baumgartner2018.yaml: {words}" in refusal(measured, root)


def test_code_follows_imports_through_modules_and_stops_at_siblings(config, root):
    code = Plan(config, root).code("attribute", "attribution", "gradient")
    assert "src/evidence/attribution/gradient.py" in code
    assert "src/evidence/weights.py" in code
    assert "src/evidence/attribution/cam.py" not in code
    assert "src/evidence/models/vagan.py" not in code


def test_imports_know_every_form(tmp_path):
    package = tmp_path / "src" / "evidence"
    (package / "sub").mkdir(parents=True)
    for name in ("a", "b", "c", "sub/d", "sub/__init__"):
        (package / f"{name}.py").write_text("x = 1\n")
    (package / "__init__.py").write_text("")
    source = tmp_path / "source.py"
    source.write_text(
        "import os\nimport evidence.a\nfrom evidence import b\n\ndef f():\n    from evidence.sub.d import x\n"
    )
    found = {str(path) for path in imports(source, tmp_path) if has_code(tmp_path / path)}
    assert found == {f"src/evidence/{name}.py" for name in ("a", "b", "sub/__init__", "sub/d")}


def test_metrics_of_maps_and_the_plan_import_no_torch(root):
    metrics = [f"evidence.metrics.{name}" for name in ("ncc", "central", "edge", "relevance_mass")]
    for module in (
        "evidence.workflow",
        "evidence.io",
        "evidence.cohort",
        "evidence.pages",
        "evidence.scores",
        *metrics,
    ):
        program = f"import sys, {module}; sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", program], cwd=root).returncode == 0, module


def test_raw_files_that_are_elsewhere_than_before_stop_the_run(config, root, tmp_path, monkeypatch):
    """By the link of the listing and, where somebody removed that, by what was packed."""
    config["datasets"]["cohort"] = {"kind": "brain_mri"}
    plan = Plan(config, root)
    plan.root = tmp_path
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    link = tmp_path / "results/quick/cohort/fetched/raw"
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "first")
    manifest = link.with_name("manifest.csv")
    manifest.touch()
    io.save_json(tmp_path / "results/quick/cohort/data/info.json", {"raw": str(tmp_path / "first")})
    for _ in range(2):
        monkeypatch.setenv("EVIDENCE_RAW_COHORT", str(tmp_path / "first"))
        raw.moved(plan)
        monkeypatch.setenv("EVIDENCE_RAW_COHORT", str(tmp_path / "second"))
        with pytest.raises(BadInput, match=f"first, but now .*second is given.*rm {manifest}"):
            raw.moved(plan)
        link.unlink(missing_ok=True)
    manifest.unlink()
    raw.moved(plan)
    monkeypatch.setenv("EVIDENCE_RAW_COHORT", str(tmp_path / "third"))
    with pytest.raises(BadInput, match="third, which is not a folder"):
        raw.moved(plan)


def leaves(config, path=()):
    for key, value in config.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def test_the_paper_scale_restates_every_setting_of_the_quick_scale(config, root):
    """A quick value that the overlay forgot would shrink the papers' experiments in silence."""
    paper = yaml.safe_load((root / "scales" / "paper.yaml").read_text())
    sections = ("datasets", "models", "methods", "metrics")
    structure = {"kind", "needs", "latents"}
    forgotten = [
        path
        for path in leaves({section: config[section] for section in sections})
        if not structure & set(path) and len(path) > 2 and path not in set(leaves(paper))
    ]
    assert not forgotten


def test_the_smoke_scale_shortens_every_training(config, root):
    """What the quick scale says of one dataset alone would go on in it, at any length."""
    smoke = merged(config, yaml.safe_load((root / "scales" / "smoke.yaml").read_text()))
    trainings = list(smoke["models"].values())
    trainings += [entry[label] for entry in smoke["datasets"].values() for label in smoke["models"] if label in entry]
    assert [entry for entry in trainings if entry.get("steps", 0) > 120] == []


def test_the_papers_scale_has_the_samplers_of_the_paper_and_the_corners_between_them(config, root):
    """GANchors' rows: normalisation, learning rate, thresholds, and whether an encoder says where to start."""
    paper = merged(config, yaml.safe_load((root / "scales" / "paper.yaml").read_text()))["methods"]
    rows = {
        "descended": ("running", 0.01, "constant", False),
        "descended_fast": ("running", 0.1, "constant", False),
        "descended_batch_slow": ("batch", 0.01, "constant", False),
        "descended_batch": ("batch", 0.1, "constant", False),
        "descended_batch_drawn": ("batch", 0.1, "drawn", False),
        "encoded": ("batch", 0.1, "drawn", True),
    }
    for label, row in rows.items():
        said = paper[label]
        assert (said["norm"], said["lr"], said["thresholds"], "encoder" in said["needs"]) == row, label
        shared = {"threshold": 0.05, "at_once": 64, "restart": 1000, "batch": 100, "gap": 0.15, "repeats": 3}
        assert {name: said[name] for name in shared} == shared, label


@pytest.mark.parametrize("scale", ["smoke", "paper", "real", "tumours", "medxgan", "ganchors", "smiles"])
def test_every_scale_is_a_plan(config, root, scale):
    overlay = yaml.safe_load((root / "scales" / f"{scale}.yaml").read_text())
    plan = Plan(merged(config, overlay), root)
    assert plan.scale == scale
    assert plan.pages()
