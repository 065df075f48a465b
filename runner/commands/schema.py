"""Print the JSON Schema of an experiment file, for editors.

A file names the schema in its first lines:

    # yaml-language-server: $schema=PATH
"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from runner.commands.arguments import given_path
from runner.commands.console import print_json, shown
from runner.config import json_schema
from runner.errors import UserError
from runner.terminal import write


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--output", type=given_path, metavar="FILE", help="write it into a file instead")


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if arguments.output is None:
        print_json(schema_text(), end="")
        return 0
    file: Path = arguments.output
    if not file.absolute().parent.is_dir():
        raise UserError(f"--output: there is no folder {file.absolute().parent}")
    text = schema_text()
    try:
        file.write_text(text)  # as it stands, be it a device or a link
    except OSError as error:
        raise UserError(f"--output: {file} can't be written: {error.strerror}") from error
    write(f"wrote {shown(file)}")
    return 0


def schema_text() -> str:
    """Return the schema as it is written into files."""
    return msgspec.json.format(msgspec.json.encode(json_schema()), indent=2).decode() + "\n"
