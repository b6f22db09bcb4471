"""Compile the locked requirements, each with the SHA-256 of every file that may be installed.

    python scripts/lock.py            # keeps what is locked; adds and removes packages
    python scripts/lock.py --upgrade  # takes the newest versions

Writes requirements.txt (all that development needs) and deploy/requirements/*.txt: what the image
installs without any extra, and with each of its extras, in the same versions; and what builds it.

A CPU build of torch that PIP_FIND_LINKS offers has another version and other digests than the one
of the package index. The lock names the plain version with the digests of both.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.txt"
IMAGE = ROOT / "deploy" / "requirements"
IMAGE_EXTRAS = ("openvino", "parquet", "postgres", "sign", "tracing")
FLAGS = [
    "--quiet",
    "--generate-hashes",
    "--no-header",
    "--no-annotate",
    "--no-emit-index-url",
    "--no-emit-find-links",
    *("--python-version", "3.11"),
    *("--no-emit-package", "linnet-text"),
    *("--constraint", "constraints.txt"),
]
TORCH = re.compile(r"^torch==([0-9.]+)(?:\+\w+)?((?: \\\n    --hash=\S+)*)", re.MULTILINE)


def main() -> None:
    """Write all locks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    upgrade = ["--upgrade"] if parser.parse_args().upgrade else []
    lock_development(upgrade)
    IMAGE.mkdir(exist_ok=True)
    same = ["--constraint", str(LOCK)]
    compiled([*same, "pyproject.toml"], IMAGE / "runtime.txt")
    lock_build(same)
    for extra in IMAGE_EXTRAS:
        compiled([*same, "--extra", extra, "pyproject.toml"], IMAGE / f"{extra}.txt")


def lock_development(upgrade: list[str]) -> None:
    """Write requirements.txt, for the CPU build of torch and the index's own one."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "requirements.txt")
        # uv keeps the versions that it finds in the output; torch's plain one is not the CPU build's.
        output.write_text(TORCH.sub("", LOCK.read_text(encoding="utf-8")), "utf-8")
        compiled(["--extra", "dev", *upgrade, "pyproject.toml"], output)
        text = output.read_text(encoding="utf-8")
    if re.search("^nvidia-", text, re.MULTILINE):
        sys.exit("PIP_FIND_LINKS offers no CPU build of torch. Set it to a folder that holds one.")
    LOCK.write_text(TORCH.sub(with_index_digests, text), encoding="utf-8")


def lock_build(same: list[str]) -> None:
    """Write what the build of the wheel needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "build.in")
        wanted.write_text("\n".join(project["build-system"]["requires"]))
        compiled([*same, str(wanted)], IMAGE / "build.txt")


def compiled(arguments: list[str], output: Path, find_links: str | None = None) -> None:
    """Let uv compile one file; what it holds already is kept."""
    links = os.environ.get("PIP_FIND_LINKS", "") if find_links is None else find_links
    command = ["uv", "pip", "compile", *FLAGS, *arguments, "--output-file", str(output)]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "UV_FIND_LINKS": links, "PATH": path}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def with_index_digests(found: re.Match[str]) -> str:
    """The same version of torch with the digests of the package index added."""
    version, digests = found.groups()
    with tempfile.TemporaryDirectory() as folder:
        wanted, output = Path(folder, "torch.in"), Path(folder, "torch.txt")
        wanted.write_text(f"torch=={version}\n")
        compiled(["--no-deps", str(wanted)], output, find_links="")
        (other,) = TORCH.finditer(output.read_text())
    both = sorted(set(re.findall(r"--hash=\S+", digests + other[2])))
    return "".join([f"torch=={version}", *(f" \\\n    {digest}" for digest in both)])


if __name__ == "__main__":
    main()
