"""The files of a project, each with one line on what it is, filled from the templates."""

import string
from collections.abc import Iterator
from importlib.resources import files

from linnet.project.options import Options

# Each file with what it is. Its template has the same path, without the dots at the beginnings.
FILES = {
    "linnet.toml": "the settings that differ from Linnet's defaults",
    "dvc.yaml": "the pipeline: prepare, train, export, evaluate, with their inputs and outputs",
    "requirements.txt": "the versions of Linnet, DVC and pytest",
    "tests/test_model.py": "the least that the model has to do",
    "Dockerfile": "the image of the service, with the champion in it",
    ".github/workflows/check.yml": "the checks of a pull request",
    ".github/workflows/train.yml": "training, gate and image, weekly and by hand",
    ".github/dependabot.yml": "updates of actions and packages, as pull requests",
    ".dvc/config": "where DVC keeps data and results",
    ".dvc/.gitignore": "files of DVC that are of this host alone",
    ".dvcignore": "files in outputs that DVC leaves out",
    ".gitignore": "files that git leaves out",
    "README.md": "this page",
}
# Files that are there to be changed: a difference from the template is no drift.
YOURS = {"linnet.toml", "requirements.txt", "tests/test_model.py", "README.md"}

ROLE_AND_DATA = """\
      - name: Take the role at AWS
        if: >-
          vars.AWS_ROLE != '' && (github.event_name != 'pull_request'
          || github.event.pull_request.head.repo.full_name == github.repository)
        uses: aws-actions/configure-aws-credentials@e6de054238d6b7531b4efff3b6587d9aade6a06c # v6.2.3
        with:
          role-to-assume: ${{ vars.AWS_ROLE }}
          aws-region: ${{ vars.AWS_REGION }}
      - name: Fetch the data
        id: data
        run: |
          if dvc pull SOURCE; then
            echo "here=true" >> "$GITHUB_OUTPUT"
          else
            echo "::warning::This job can't read the data, so no sample is trained."
          fi
"""
FETCH_DATA = """\
      - name: Fetch the data
        run: dvc pull SOURCE
"""


class _Template(string.Template):
    """`@@{name}`, which no YAML, TOML, shell or workflow has."""

    delimiter = "@@"


def render(options: Options, version: str) -> Iterator[tuple[str, str]]:
    """Path and text of each file of a project.

    Args:
        options: Checked values.
        version: Of Linnet, which requirements.txt and the image name.
    """
    values = {
        "name": options.name,
        "source": options.source,
        "remote": options.remote,
        "tracking": options.tracking,
        "version": version,
        "files": "\n".join(f"| `{path}` | {text} |" for path, text in FILES.items()),
        **_of_data(options),
    }
    root = files("linnet.project") / "files"
    for path in FILES:
        template = "/".join(part.lstrip(".") for part in path.split("/")) + ".template"
        text = (root / template).read_text(encoding="utf-8")
        yield path, _Template(text).substitute(values)


def _of_data(options: Options) -> dict[str, str]:
    """Lines that only a project with a file of data has."""
    lines = {
        "data_dep": f"      - {options.source}\n",
        # The file alone: DVC reads no .dvc file in a folder whose every file git ignores.
        "data_ignored": f"/{options.source}\n",
        "begin_data": f"dvc add {options.source}\n",
        "check_rights": "      id-token: write # to take the role at AWS without a key\n",
        "check_data": ROLE_AND_DATA.replace("SOURCE", options.source),
        "check_if": "        if: steps.data.outputs.here == 'true'\n",
        "train_data": FETCH_DATA.replace("SOURCE", options.source),
    }
    return lines if options.has_data else dict.fromkeys(lines, "")
