"""All papers' pages as one file that opens from a disk: pictures are inside. It computes nothing."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import jinja2
import markdown
from markdown.extensions.toc import slugify_unicode
from PIL import Image

from evidence import cli, io
from evidence.errors import BadInput

TEMPLATE = Path(__file__).with_suffix(".html.jinja")
PICTURE = re.compile(r'<img alt="([^"]*)" src="([^"]+)" />')
# The picture fills a box of the size of a slide and sticks out to the right; its place in percent is that of the slide.
SLIDES = """\
<span class="slides">{image} style="aspect-ratio: {ratio:.5f}">
<input type="range" min="0" max="{last}" value="0" aria-label="{words}"
 oninput="this.previousElementSibling.style.objectPosition = 100 * this.value / this.max + '%'"></span>"""
ADDRESS = re.compile(r"(?<![(<\"])https?://\S+")


def main(argv: list[str] | None = None) -> None:
    args = cli.plain(
        argv,
        description=__doc__,
        flags={
            "--pages": {"nargs": "+", "required": True, "help": "page.md of each paper"},
            "--scale": "name of the scale",
            "--html": "where the report goes",
        },
    )
    template = jinja2.Template(TEMPLATE.read_text(encoding="utf-8"), autoescape=True, undefined=jinja2.StrictUndefined)
    pages = [converted(Path(path)) for path in args.pages]
    io.save_text(args.html, template.render(scale=args.scale, pages=pages))


def converted(path: Path) -> dict:
    """A page as HTML, with the name of its paper and its headings, (id, words, level) each."""
    paper = path.parent.name

    def named(words: str, separator: str) -> str:
        return f"{paper}{separator}{slugify_unicode(words, separator)}"

    reader = markdown.Markdown(
        extensions=["tables", "sane_lists", "nl2br", "toc"], extension_configs={"toc": {"slugify": named}}
    )
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; make the page first, or correct the path") from error
    html = reader.convert(ADDRESS.sub(r"<\g<0>>", text))
    html = PICTURE.sub(lambda found: _inside(path.parent / found[2], found[1], path), html)
    return {"paper": paper, "html": html, "headings": list(_headings(reader.toc_tokens))}


def _headings(tokens: list[dict]) -> Iterator[tuple[str, str, int]]:
    """All headings in their order: id, words, level."""
    for token in tokens:
        yield token["id"], token["name"], token["level"]
        yield from _headings(token["children"])


def _inside(picture: Path, words: str, page: Path) -> str:
    """A picture as part of the file; one of slides beside each other with a slider that shows one of them."""
    if not picture.is_file():
        raise BadInput(f"{page} shows {picture}, which is missing; draw it again")
    data = f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"
    image = f'<img alt="{words}" src="{data}" loading="lazy"'
    with Image.open(picture) as opened:
        (width, height), slides = opened.size, int(opened.info.get("Slides", 1))
    if slides == 1:
        return f"{image}>"
    return SLIDES.format(image=image, words=words, ratio=width / slides / height, last=slides - 1)


if __name__ == "__main__":
    cli.run(main)
