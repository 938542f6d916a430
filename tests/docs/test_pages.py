"""What the documentation tells people to type exists: commands, flags, config keys and files."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from harray.config import leaf_types
from harray.experiment import ExperimentConfig

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
TITLES = [str(page.relative_to(ROOT)) for page in PAGES]
FLAG = re.compile(r"--[a-z][a-z-]*")
KEY = re.compile(r"\b((?:videos|poses|scenes|features|model|training)(?:\.[a-z_]+)+)=")


def commands_on(page: Path) -> list[list[str]]:
    """The words of every `harray ...` and `jobs/NAME.py ...` on a page: code blocks, indented lines, backticks."""
    text = page.read_text()
    code = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ").splitlines()
    code += [" ".join(span.split()) for span in re.findall(r"(?<!`)`((?:uv run )?harray [^`]+)`(?!`)", text)]
    code += re.findall(r"^ {4}((?:uv run )?harray .*)$", text, re.MULTILINE)
    found = []
    for line in code:
        for part in re.split(r" && |; | \| ", line.partition(" #")[0].strip()):
            if match := re.match(r"(?:\S+=\S+ )*(?:uv run )?harray (.*)", part):
                found.append(shlex.split(match[1]))
            elif match := re.search(r"jobs/(\w+)\.py ?(.*)", part):
                found.append([match[1].replace("_", "-"), *shlex.split(match[2])])
    return found


def flags_of(words: list[str]) -> set[str]:
    """The flags of the command that these words name; of a group, if they name no more.

    Raises:
        AssertionError: no such command.
    """
    from harray.cli.app import app

    command = typer.main.get_command(app)
    for word in words:
        known = getattr(command, "commands", {})
        if word in known:
            command = known[word]
        elif known and word.isalpha() and word.islower():
            raise AssertionError(f"no command {word}")
        else:
            command = known.get("render", command)  # `harray synth OUT`
            break
    flags = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    return flags | {"--help", "--version", "--install-completion", "--show-completion"}


@pytest.mark.parametrize("page", PAGES, ids=TITLES)
def test_every_command_and_flag_on_a_page_exists(page):
    for words in commands_on(page):
        flags = {word.partition("=")[0] for word in words if FLAG.match(word)}
        assert flags <= flags_of([word for word in words if not word.startswith("-")]), " ".join(words)


@pytest.mark.parametrize("page", PAGES, ids=TITLES)
def test_every_config_key_on_a_page_exists(page):
    assert set(KEY.findall(page.read_text())) <= {*leaf_types(ExperimentConfig), "model.NEW.enabled"}


@pytest.mark.parametrize("page", PAGES, ids=TITLES)
def test_every_file_that_a_page_links_to_exists(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_references_name_every_command_and_key(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    import generated

    from harray.cli.app import COMMANDS

    names = [command.__name__.strip("_").replace("_", "-") for command in COMMANDS]
    assert [name for name in names if f"## `harray {name}`" not in generated.commands()] == []
    assert [key for key in leaf_types(ExperimentConfig) if f"`{key}`" not in generated.config_keys()] == []


def test_the_citation_names_this_version():
    import yaml

    import harray

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == harray.__version__
