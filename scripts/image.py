"""Prove what deploy/Dockerfile would build, where no container engine runs.

python scripts/image.py BUNDLE

Follows the file's own lines in a folder that stands for the image's root: a new virtual environment is the base
image's Python, files are copied as .dockerignore lets them, each RUN is run by a shell with the image's folders moved
below that folder. Then the entry point serves the bundle, as the image's user if root runs this; it answers, the health
check's own line finds it healthy, and it stops with 0. Says what is in the image and how large; of the base image it
knows nothing.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE, IGNORED = ROOT / "deploy" / "Dockerfile", ROOT / ".dockerignore"
FOLDERS = re.compile(
    r"(?<![\w/.])/(build|opt/linnet|data|bundle)(?![\w-])"
)  # of the image, which lie elsewhere here
TEXT = "what a lovely day"
SECONDS = 120  # to start, and to stop


@dataclass(frozen=True)
class Instruction:
    """A line of a Dockerfile: its word in capitals, the rest of it, and its stage, from 0."""

    word: str
    rest: str
    stage: int


def instructions(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile, with continued lines joined."""
    lines = "\n".join(
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    )
    found: list[Instruction] = []
    stage = -1
    for line in re.sub(r"\\\n\s*", "", lines).splitlines():
        word, _, rest = line.partition(" ")
        stage += word == "FROM"
        found.append(Instruction(word, rest.strip(), stage))
    return found


def words_of(found: list[Instruction], word: str) -> list[str]:
    """What the last instruction of this word runs, which has to be in the form that needs no shell: a JSON list."""
    rest = [line.rest for line in found if line.word == word][-1]
    words = json.loads(rest[rest.index("[") :])
    assert all(isinstance(one, str) for one in words)
    return list(words)


def let_in() -> list[str]:
    """The files and folders that .dockerignore lets into the build, once it has shut out everything."""
    rules = [line for line in IGNORED.read_text().splitlines() if line and not line.startswith("#")]
    inside = [rule[1:] for rule in rules if rule.startswith("!")]
    if rules != ["*", *(f"!{name}" for name in inside), "**/__pycache__"]:
        sys.exit(
            f"Expected .dockerignore to shut out all, let names in, and shut out caches; got {rules}."
        )
    return inside


def base_python(root: Path) -> Path:
    """A Python that any user can run: this one, or a copy of it where it lies in a home folder closed to others."""
    prefix = Path(sys.base_prefix)
    if all(folder.stat().st_mode & 0o001 for folder in [prefix, *prefix.parents]):
        return Path(sys.executable)
    shutil.copytree(
        prefix,
        root / "python",
        symlinks=True,
        ignore=shutil.ignore_patterns("test", "site-packages"),
    )
    return root / "python" / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"


class Image:
    """A folder that stands for the image's root.

    Args:
        root: An empty folder.
    """

    def __init__(self, root: Path):
        self.root, self.place = root, root
        subprocess.run([base_python(root), "-m", "venv", root / "base"], check=True)
        self.environment = {
            "PATH": f"{root}/base/bin:/usr/bin:/bin",
            "HOME": str(root),
            "EXTRAS": "",
        }
        self.environment["LD_LIBRARY_PATH"] = (
            f"{root}/python/lib"  # a copied Python would look where it was built
        )
        # How the package index is reached is the builder's affair, as it is in a real build.
        self.environment |= {
            name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))
        }
        self.user: int | None = None

    def moved(self, text: str) -> str:
        """A text in which the image's folders are those below the root."""
        return FOLDERS.sub(rf"{self.root}/\1", text)

    def follow(self, line: Instruction) -> None:
        """Do what an instruction says."""
        match line.word:
            case "WORKDIR":
                self.place = Path(self.moved(line.rest))
                self.place.mkdir(parents=True, exist_ok=True)
            case "COPY" if not line.rest.startswith("--from"):  # both stages lie in one folder here
                self._copy(line.rest.split())
            case "RUN":
                print(f"RUN {line.rest}", flush=True)
                subprocess.run(
                    ["sh", "-c", self.moved(line.rest)],
                    cwd=self.place,
                    env=self.environment,
                    check=True,
                )
            case "ENV":
                for name, value in re.findall(r'(\w+)="([^"]*)"', self.moved(line.rest)):
                    self.environment[name] = value.replace("$PATH", self.environment["PATH"])
            case "USER" if os.geteuid() == 0:
                self.user = int(line.rest.partition(":")[0])

    def _copy(self, words: list[str]) -> None:
        *sources, target = words
        for source in sources:
            if source not in let_in():
                sys.exit(f"COPY {source}: .dockerignore does not let it into the build.")
            if (ROOT / source).is_dir():  # docker copies what is in a folder
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(
                    ROOT / source, self.place / target, ignore=ignore, dirs_exist_ok=True
                )
            else:
                shutil.copyfile(ROOT / source, self.place / target / source)

    def start(self, words: list[str], **options: object) -> "subprocess.Popen[str]":
        """Run a command as the image does."""
        environment = self.environment | {
            "PATH": self.environment["PATH"].replace(f"{self.root}/base/bin:", "")
        }
        as_user = (
            {} if self.user is None else {"user": self.user, "group": self.user, "extra_groups": []}
        )
        return subprocess.Popen(
            [self.moved(word) for word in words],
            cwd=self.place,
            env=environment,
            text=True,
            **as_user,
            **options,
        )


def main() -> None:
    """Build, look, serve, ask, stop."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path, help="what to serve")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="linnet-image-") as folder:
        root = Path(folder)
        root.chmod(0o755)  # the image's user walks through it
        found = instructions(DOCKERFILE.read_text(encoding="utf-8"))
        image = Image(root)
        for line in found:
            image.follow(line)
        shutil.copytree(arguments.bundle, root / "bundle")
        report(root / "opt/linnet")
        serve(image, found)


def report(installed: Path) -> None:
    """Print what is installed, the largest first."""
    packages = next(installed.glob("lib/python*/site-packages"))
    sizes = {
        entry.name: size_of(entry) for entry in packages.iterdir() if entry.suffix != ".dist-info"
    }
    names = sorted(entry.name.removesuffix(".dist-info") for entry in packages.glob("*.dist-info"))
    print(f"\n{len(names)} packages: {', '.join(names)}")
    for name, size in sorted(sizes.items(), key=lambda pair: -pair[1])[:8]:
        print(f"{size / 1e6:8.1f} MB  {name}")
    print(f"{size_of(installed) / 1e6:8.1f} MB  in all, beside the base image")


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())


def serve(image: Image, found: list[Instruction]) -> None:
    """Run the entry point and the health check, ask once, stop."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    entry = words_of(found, "ENTRYPOINT")
    made = image.start(
        [*entry, "keys", "add", "probe", "--scopes", "predict"], stdout=subprocess.PIPE
    )
    key = made.communicate(timeout=SECONDS)[0].partition("\n")[0]
    if made.returncode != 0:
        sys.exit(f"`linnet keys add` ended with {made.returncode}; expected 0.")
    command = [*entry, *words_of(found, "CMD"), "--port", str(port)]
    print(f"\n{' '.join(command)}, as user {os.geteuid() if image.user is None else image.user}")
    server = image.start(command)
    try:
        image.environment["SAGEMAKER_BIND_TO_PORT"] = str(port)  # which the health check asks for
        deadline = time.monotonic() + SECONDS
        while (
            image.start(words_of(found, "HEALTHCHECK"), stderr=subprocess.DEVNULL).wait(SECONDS)
            != 0
        ):
            if server.poll() is not None or time.monotonic() > deadline:
                sys.exit(
                    f"The service was not healthy within {SECONDS} s; it ended with {server.poll()}."
                )
            time.sleep(0.5)
        print("The health check finds it healthy.")
        body = json.dumps({"texts": [TEXT]}).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/predict", body, headers)
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            print(json.dumps(json.load(response)["predictions"][0]))
    finally:
        server.send_signal(signal.SIGTERM)
        code = server.wait(SECONDS)
    if code != 0:
        sys.exit(f"The service stopped with exit code {code}; expected 0.")
    print("It stopped with 0.")


if __name__ == "__main__":
    main()
