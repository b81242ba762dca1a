"""Turn one part of a dataset's raw files into arrays, each file compared with the manifest first."""

from pathlib import Path

from evidence import cli, io, parts
from evidence.progress import chunks


def main(argv: list[str] | None = None) -> None:
    call = cli.parse(
        argv,
        "datasets",
        function="prepare",
        description=__doc__,
        flags={
            "--manifest": "manifest.csv of the raw files, which lie in the folder 'raw' beside it",
            "--part": {"type": int, "default": 0, "help": "which part, from 0"},
            "--parts": {"type": int, "default": 1, "help": "how many parts there are"},
            "--out": "where the arrays of the part go (npz)",
        },
    )
    args = call.files
    manifest, raw = io.load_manifest(args.manifest), Path(args.manifest).with_name("raw")
    units = io.part_of(manifest, args.part, args.parts)
    made = []
    for chunk in chunks(len(units), 1, "preparing"):
        unit = units[chunk.start]
        part = call.module.prepare(io.checked(raw, manifest, unit), **call.options)
        parts.check(part, unit)
        made.append(part)
    parts.save(args.out, parts.joined(made))


if __name__ == "__main__":
    cli.run(main)
