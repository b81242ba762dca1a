"""Make a phantom of a dataset, in the raw format of the real one, and write its manifest."""

import shutil
from pathlib import Path

from evidence import cli, io


def main(argv: list[str] | None = None) -> None:
    call = cli.parse(
        argv,
        "datasets",
        function="simulate",
        description=__doc__,
        flags={"--manifest": "where the manifest goes (CSV); the files go into the folder 'raw' beside it"},
    )
    manifest = Path(call.files.manifest)
    raw = manifest.with_name("raw")
    if raw.exists():
        shutil.rmtree(raw)
    units = call.module.simulate(raw, **call.options)
    io.save_manifest(manifest, raw, units)
    print(f"{call.name}: {sum(map(len, units.values()))} files in {len(units)} units below {raw}")


if __name__ == "__main__":
    cli.run(main)
