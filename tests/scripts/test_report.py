"""report.py: one file, of which nothing is outside."""

import base64
import io
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

PAGE = """# A & B: a title

David et al. https://arxiv.org/abs/1906.00297

- **Scale**: quick

## table1

Caption with λ < 10.

|  | NCC published | NCC ours |
| --- | ---: | ---: |
| VA-GAN | 0.94 ± 0.07 | 0.90 ± 0.03 |

n = 100 scores a cell.

## figure1

![figure1](figure1.png)

### inner
"""


class Read(HTMLParser):
    """What a browser would have to fetch, show, or jump to."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.sources, self.words, self.open = [], [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        if tag not in ("img", "input", "meta", "br", "link"):
            self.open.append(tag)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs["href"]] if "href" in attrs else []
        self.sources += [attrs["src"]] if "src" in attrs else []

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag in self.open:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data.strip())


@pytest.fixture
def pages(tmp_path):
    paths = []
    for paper, shade in (("first2018", 10), ("second2019", 200)):
        folder = tmp_path / "papers" / paper
        folder.mkdir(parents=True)
        Image.new("L", (6, 4), shade).save(folder / "figure1.png")
        (folder / "page.md").write_text(PAGE)
        paths.append(folder / "page.md")
    return paths


def test_it_holds_all_pages_and_needs_nothing_else(pages, script, tmp_path):
    status, said = script("report", "--pages", *pages, "--scale", "quick", "--html", tmp_path / "report.html")
    assert status == 0, said
    text = (tmp_path / "report.html").read_text()
    read = Read(text)
    assert read.open == [], "every tag is closed"
    assert not {"script", "link", "iframe"} & set(read.tags)
    assert [source.partition(",")[0] for source in read.sources] == ["data:image/png;base64"] * 2
    shades = [
        Image.open(io.BytesIO(base64.b64decode(each.partition(",")[2]))).getpixel((0, 0)) for each in read.sources
    ]
    assert shades == [10, 200]
    assert len(set(read.ids)) == len(read.ids), "headings of two papers do not share a name"
    inside = [link for link in read.links if link.startswith("#")]
    assert len(inside) == 4
    assert {link[1:] for link in inside} <= set(read.ids)
    assert read.tags.count("table") == 2
    assert read.words.count("0.94 ± 0.07") == 2
    assert "Caption with λ < 10." in read.words
    assert read.links.count("https://arxiv.org/abs/1906.00297") == text.count(">https://") == 2, "to click on"


def test_a_picture_or_a_page_that_is_missing_is_named(pages, script, tmp_path):
    pages[1].with_name("figure1.png").unlink()
    words = ["--pages", *pages, "--scale", "quick", "--html", tmp_path / "report.html"]
    status, said = script("report", *words)
    assert (status, "second2019/figure1.png, which is missing; draw it again" in said) == (1, True)
    pages[0].unlink()
    status, said = script("report", *words)
    assert (status, "first2018/page.md is missing" in said) == (1, True)
    assert not (tmp_path / "report.html").exists()


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LEAF = """<script>
const said = [], images = [...document.images], slider = document.querySelector("input");
addEventListener("error", event => said.push(event.message), true);
slider.value = 2; slider.oninput();
Promise.all(images.map(image => (image.loading = "eager", image.decode()))).then(() => {
  const box = slider.previousElementSibling, style = getComputedStyle(box);
  document.body.innerHTML = "<p>" + [images.length, images.every(image => image.naturalWidth > 0), said.length,
    style.objectPosition, style.objectFit, (box.clientWidth / box.clientHeight).toFixed(2)].join("|") + "</p>";
});
</script></body>"""


@pytest.fixture
def leafed(pages):
    """Pages of which the first shows three slides of 4×2 beside each other."""
    facts = PngInfo()
    facts.add_text("Slides", "3")
    Image.new("L", (12, 2)).save(pages[0].with_name("figure1.png"), pnginfo=facts)
    return pages


@pytest.fixture
def text(leafed, script, tmp_path):
    """Their report."""
    status, said = script("report", "--pages", *leafed, "--scale", "quick", "--html", tmp_path / "report.html")
    assert status == 0, said
    return (tmp_path / "report.html").read_text()


def test_slides_have_a_slider(text):
    read = Read(text)
    assert read.open == []
    assert read.tags.count("input") == 1
    (slider,) = re.findall(r"<input[^>]*>", text)
    assert all(word in slider for word in ('type="range"', 'min="0"', 'max="2"', 'value="0"', 'aria-label="figure1"'))
    assert re.findall(r'style="aspect-ratio: ([0-9.]+)"', text) == ["2.00000"]


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")
def test_a_browser_shows_every_picture_and_leafs(text, tmp_path):
    page = tmp_path / "leafed.html"
    page.write_text(text.replace("</body>", LEAF))
    words = "--headless --no-sandbox --disable-gpu --virtual-time-budget=5000 --dump-dom".split()
    run = subprocess.run([CHROMIUM, *words, page.as_uri()], capture_output=True, text=True, timeout=120)
    assert "<p>2|true|0|100% 50%|cover|2.00</p>" in run.stdout, run.stdout[-500:] + run.stderr[-500:]
