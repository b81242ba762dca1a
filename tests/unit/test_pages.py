"""Papers as data: cells in the order of the axes, and every misspelt word refused with its place."""

import pytest

from evidence import pages
from evidence.errors import BadInput
from evidence.pages import Cell

PAPER = """
title: A title
reference: Somebody, 2018
tables:
  table1:
    caption: Scores.
    fixed: {dataset: synthetic}
    rows: {method: {CAM: cam, VA-GAN: vagan, Noise: random}}
    columns: {metric: {NCC: ncc, IoU: iou}}
    cell: {over: seed, decimals: 3}
    floors: [Noise]
    published: {CAM: {NCC: 0.48 ± 0.04}, VA-GAN: {NCC: 0.94, IoU: 0.5}}
figures:
  figure3: {kind: examples, dataset: synthetic, caption: Data., options: {by: subtype}}
claims:
  edges:
    says: CAM blurs.
    how: A metric.
    fixed: {dataset: synthetic, metric: edge}
    of: {CAM: {method: cam}, Gradient: {method: gradient, at: 90}}
    below: {VA-GAN: {method: vagan}}
    about: 0.5
    within: 0.1
"""


@pytest.fixture
def load(tmp_path):
    """Read the paper after a change of its text."""

    def read(old="", new=""):
        assert old in PAPER
        path = tmp_path / "paper2018.yaml"
        path.write_text(PAPER.replace(old, new, 1), encoding="utf-8")
        pages.load.cache_clear()
        return pages.load(str(path))

    yield read
    pages.load.cache_clear()


def table(**keys):
    return {"caption": "Scores.", "fixed": {"dataset": "d", "metric": "m"}, **keys}


# --- cells ------------------------------------------------------------------------------------------------------------


def test_cells_go_row_by_row(load):
    cells = list(pages.cells(load()["tables"]["table1"]))
    assert [(cell.row, cell.column) for cell in cells] == [
        ("CAM", "NCC"), ("CAM", "IoU"), ("VA-GAN", "NCC"), ("VA-GAN", "IoU"), ("Noise", "NCC"), ("Noise", "IoU"),
    ]  # fmt: skip
    assert cells[3] == Cell("VA-GAN", "IoU", "synthetic", "iou", "vagan", "")


def test_several_axes_are_nested_in_the_order_they_stand():
    rows = {"dataset": {"A": "a", "B": "b"}, "at": {"90 %": 90, "95 %": 95}}
    columns = {"metric": {"M": "m", "N": "n"}, "method": {"X": "x"}}
    cells = list(pages.cells({"rows": rows, "columns": columns}))
    assert [cell.row for cell in cells[::2]] == ["A / 90 %", "A / 95 %", "B / 90 %", "B / 95 %"]
    assert [cell.column for cell in cells[:2]] == ["M / X", "N / X"]
    assert cells[-1] == Cell("B / 95 %", "N / X", "b", "n", "x", "95")
    turned = list(pages.cells({"rows": {"at": rows["at"], "dataset": rows["dataset"]}, "columns": columns}))
    assert [cell.row for cell in turned[::2]] == ["90 % / A", "90 % / B", "95 % / A", "95 % / B"]


def test_a_table_may_have_no_columns_and_a_metric_no_method():
    (cell,) = pages.cells(table(rows={"method": {"CAM": "cam"}}))
    assert cell == Cell("CAM", "", "d", "m", "cam", "")
    assert cell.scores("results/quick", 3) == "results/quick/d/scores/m/cam/seed3.parquet"
    (one,) = pages.cells(table(rows={"method": {"SyCE": "syce.v1"}}))
    assert (one.scores("r", 0), one.map, cell.map) == ("r/d/scores/m/syce/seed0.parquet", "v1", "")
    (cell,) = pages.cells({"rows": {"dataset": {"D": "d"}}, "columns": {"metric": {"accuracy": "accuracy"}}})
    assert cell == Cell("D", "accuracy", "d", "accuracy", "", "")
    assert cell.scores("results/quick", 0) == "results/quick/d/scores/accuracy/seed0.parquet"


def test_rows_and_columns_say_it_better_than_what_is_fixed():
    (cell,) = pages.cells(table(rows={"method": {"X": "x"}}, columns={"dataset": {"E": "e"}}))
    assert cell.dataset == "e"


@pytest.mark.parametrize("axis", ["dataset", "metric"])
def test_a_table_has_to_say_which_dataset_and_metric(axis):
    fixed = {"dataset": "d", "metric": "m"}
    del fixed[axis]
    with pytest.raises(BadInput, match=f"the table 'Scores.' says nothing of its {axis}"):
        list(pages.cells(table(fixed=fixed, rows={"method": {"X": "x"}})))


# --- claims -----------------------------------------------------------------------------------------------------------


def test_each_member_is_compared_with_each_reference(load):
    claim = load()["claims"]["edges"]
    cam, gradient = (
        Cell(n, "", "synthetic", "edge", m, at) for n, m, at in (("CAM", "cam", ""), ("Gradient", "gradient", "90"))
    )
    vagan, strict = (Cell("VA-GAN", "", "synthetic", "edge", "vagan", at) for at in ("", "90"))
    assert list(pages.comparisons(claim)) == [
        pages.Comparison(cam, "below", "VA-GAN", vagan, None),
        pages.Comparison(cam, "about", "", 0.5, 0.1),
        pages.Comparison(gradient, "below", "VA-GAN", strict, None),
        pages.Comparison(gradient, "about", "", 0.5, 0.1),
    ]
    assert list(pages.claim_cells(claim)) == [cam, vagan, cam, gradient, strict, gradient]


def test_a_reference_has_what_its_member_has_but_for_what_it_says():
    claim = {
        "says": "Jitter does not matter.",
        "fixed": {"metric": "ncc", "method": "vagan"},
        "of": {"with": {"dataset": "a"}},
        "about": {"without": {"dataset": "b"}, "half": 0.5},
    }
    without, half = pages.comparisons(claim)
    assert without.reference == Cell("without", "", "b", "ncc", "vagan", "")
    assert (half.heading, half.reference, half.within) == ("half", 0.5, None)


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_paper_is_read_whole(load):
    paper = load()
    assert list(paper) == ["title", "reference", "tables", "figures", "claims"]
    assert paper["tables"]["table1"]["published"]["CAM"]["NCC"] == "0.48 ± 0.04"


def test_a_paper_may_have_neither_tables_nor_figures(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("title: A title\nreference: Somebody, 2018")
    known = {"title": "A title", "reference": "Somebody, 2018"}
    assert pages.load(str(path)) == {**known, "tables": {}, "figures": {}, "claims": {}}


def test_a_paper_that_is_not_there_is_refused_with_the_near_miss(load, tmp_path):
    load()
    with pytest.raises(BadInput, match=r"there is no paper 'papre2018' in .*; did you mean 'paper2018'"):
        pages.load(str(tmp_path / "papre2018.yaml"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title: A", "titel: A", "paper2018.yaml has an unknown key 'titel'; did you mean 'title'?"),
        ("caption: Scores.", "captain: Scores.", "tables.table1 has an unknown key 'captain'; did you mean 'caption'?"),
        ("kind: examples", "kin: examples", "figures.figure3 has an unknown key 'kin'; did you mean 'kind'?"),
        ("kind: examples, ", "", "figures.figure3 lacks kind"),
        ("rows: {method", "fixed: {method", "tables.table1"),
        ("{method: {CAM", "{methods: {CAM", "tables.table1 has an axis 'methods'; did you mean 'method'?"),
        ("{metric: {", "{metrics: {", "tables.table1 has an axis 'metrics'; did you mean 'metric'?"),
        ("{dataset: synthetic}", "{data: synthetic}", "tables.table1 has an axis 'data'; did you mean 'dataset'?"),
        ("{over: seed", "{ofer: seed", "tables.table1.cell has an unknown key 'ofer'; did you mean 'over'?"),
        ("{CAM: {NCC", "{CAN: {NCC", "tables.table1 has no row 'CAN'; did you mean 'CAM'?"),
        ("{NCC: 0.48", "{NNC: 0.48", "tables.table1 has no column 'NNC'; did you mean 'NCC'?"),
        ("[Noise]", "[Noise, Image]", "tables.table1 has no row 'Image'; there is: CAM, Noise, VA-GAN"),
        ("title: A title\n", "", "paper2018.yaml lacks its title, a text each"),
        ("over: seed", "over: seeds", "tables.table1.cell.over: 'seeds'; did you mean 'seed'?"),
        ("decimals: 3", "decimals: two", "tables.table1.cell.decimals: 'two' is no whole number"),
        ("IoU: 0.5", "IoU: a lot", "tables.table1.published.VA-GAN.IoU: 'a lot' is neither 0.94 nor 0.94 ± 0.07"),
        ("options: {by: subtype}", "options: [1]", "figures.figure3.options must be a mapping, not [1]"),
        ("options: {by: subtype}", "models: [a]", "figures.figure3.models must be a mapping, not ['a']"),
        ("title: A title", "title: [A", "paper2018.yaml is not valid YAML: while parsing a flow sequence"),
        (PAPER, "", "paper2018.yaml must be a mapping"),
        (PAPER, "- a", "paper2018.yaml must be a mapping"),
        ("{CAM: cam, VA-GAN: vagan, Noise: random}", "cam", "tables.table1.rows.method must be a mapping, not 'cam'"),
        ("{NCC: 0.48 ± 0.04}", "0.48", "tables.table1.published.CAM must be a mapping, not 0.48"),
        ("  table1:", "  figure3:", "tables.figure3 needs another name: the claims, the page or a figure has this one"),
        ("  table1:", "  claims:", "tables.claims needs another name"),
        ("says: CAM", "say: CAM", "claims.edges has an unknown key 'say'; did you mean 'says'?"),
        ("below: {", "belov: {", "claims.edges has an unknown key 'belov'; did you mean 'below'?"),
        ("    says: CAM blurs.\n", "", "claims.edges lacks says"),
        ("says: CAM blurs.", "says: [CAM]", "claims.edges.says must be a sentence, not ['CAM']"),
        ("    below: {VA-GAN: {method: vagan}}\n    about: 0.5\n", "", "claims.edges lacks one of above, below, about"),
        ("metric: edge}", "metrics: edge}", "claims.edges has an axis 'metrics'; did you mean 'metric'?"),
        ("metric: edge}", "at: 90}", "the claim 'CAM blurs.' says nothing of its metric"),
        ("{method: cam}", "{methd: cam}", "claims.edges has an axis 'methd'; did you mean 'method'?"),
        ("{method: cam}", "cam", "claims.edges.of.CAM must be a mapping, not 'cam'"),
        (
            "{VA-GAN: {method: vagan}}",
            "vagan",
            "claims.edges.below must be a number or a mapping from headings to cells",
        ),
        ("{VA-GAN: {method: vagan}}", "{}", "claims.edges.below must be a number or a mapping from headings to cells"),
        ("{VA-GAN: {method: vagan}}", "{VA-GAN: vagan}", "claims.edges.below.VA-GAN must be a mapping, not 'vagan'"),
        ("{VA-GAN: {method: vagan}}", "{CAM: {method: cam}}", "claims.edges compares 'CAM' with itself"),
        ("about: 0.5", "about: .nan", "claims.edges.about must be a number or a mapping"),
        ("about: 0.5", "about: true", "claims.edges.about must be a number or a mapping"),
        ("within: 0.1", "within: 0", "claims.edges.within: 0 has to be a number above 0, and goes with about"),
        ("about: 0.5", "above: 0.5", "claims.edges.within: 0.1 has to be a number above 0, and goes with about"),
    ],
)
def test_a_misspelt_word_is_refused_with_its_place(load, old, new, message):
    with pytest.raises(BadInput) as refusal:
        load(old, new)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_papers_are_compared_with_the_cells_they_would_have(load):
    with pytest.raises(BadInput, match="says nothing of its dataset"):
        load("    fixed: {dataset: synthetic}\n", "")
