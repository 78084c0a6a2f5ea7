"""The command line: verbs and their options."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from jobs import REFUSED, overrides


class Parser(argparse.ArgumentParser):
    """Wrong usage ends with 3, as everything that is refused. No option is cut short."""

    def __init__(self, **given: Any) -> None:
        # jobs/__main__.py takes some of them out of what was typed.
        super().__init__(**given, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(REFUSED, f"error: {message}\n")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    return _parser().parse_args(arguments)


def _parser() -> Parser:
    parser = Parser(
        prog="python -m jobs",
        description="Scoring jobs of a batch endpoint. Exit codes: 0 completed or done, 1 the job failed, 2 it was "
        "cancelled, 3 wrong usage or refused, 130 Ctrl-C. docs/jobs.md has examples.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=Parser)
    target = _target()

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=text, description=text, parents=[target])

    _submit(verb("submit", "start a job, or find the one that an interrupted run of the same command started"))
    listing = verb("list", "the endpoint's jobs, the newest first")
    listing.add_argument("--deployment", metavar="NAME", help="only those of this deployment")
    listing.add_argument("--status", metavar="WORD", help="only those of this status: running, failed, completed, ...")
    listing.add_argument("--limit", type=int, default=20, metavar="N", help="how many (default %(default)s)")
    show = verb("show", "what a job was asked, how it went, and a summary of what it wrote")
    _job(show)
    show.add_argument(
        "--rows", type=int, default=5, metavar="N", help="first rows that are shown (default %(default)s)"
    )
    show.add_argument("--columns", metavar="A,B,C", help="names of the columns: a predictions file has no header")
    show.add_argument("--plot", metavar="FILE.png", help="draw the distribution of a column")
    show.add_argument("--column", metavar="N|NAME", help="which column, from 1 (default: the second)")
    watch = verb("watch", "follow a job to its end, which is the exit code; Ctrl-C ends the watching, not the job")
    _job(watch)
    logs = verb("logs", "what a job's log says")
    _job(logs)
    logs.add_argument("--file", metavar="LOG", help="name of a log, its end, or a pattern (default: the main one)")
    logs.add_argument("-l", "--list", action="store_true", help="the names of the logs")
    logs.add_argument("-f", "--follow", action="store_true", help="and what is added, until the job ends")
    logs.add_argument("-n", "--lines", type=int, default=50, metavar="N", help="how many lines (default %(default)s)")
    cancel = verb("cancel", "end a job before its time")
    _job(cancel, needed=True)
    cancel.add_argument("--no-wait", action="store_true", help="do not wait for its end")
    cancel.add_argument("--wait", type=float, default=300.0, metavar="SECONDS", help="at most (default %(default)s)")
    download = verb("download", "bring what a job wrote here")
    _job(download)
    download.add_argument("--to", metavar="FOLDER", help="where (default: a folder called as the job)")
    download.add_argument("--overwrite", action="store_true", help="replace files that have other content")
    download.add_argument(
        "--concurrency", type=int, default=8, metavar="N", help="requests at once (default %(default)s)"
    )
    return parser


def _target() -> Parser:
    """Options of every verb."""
    parent = Parser(add_help=False)
    group = parent.add_argument_group("the endpoint")
    group.add_argument("--stack", metavar="NAME", help="that of a deployed stack")
    group.add_argument(
        "--endpoint",
        metavar="NAME|ID",
        help="by its ARM id, or by its name with the three below; with --stack: which one, where the stack has several",
    )
    group.add_argument("--workspace", metavar="NAME")
    group.add_argument("--resource-group", metavar="NAME")
    group.add_argument("--subscription", metavar="ID")
    group.add_argument("--cloud", default="public", choices=("public", "usgovernment", "china"))
    group.add_argument("--datastore", metavar="NAME", help="for uploads and outputs (default: the workspace's default)")
    group.add_argument(
        "--shared-key", action="store_true", help="the storage account's key instead of an Entra ID token"
    )
    group.add_argument("--named", help=argparse.SUPPRESS)
    parent.add_argument("--json", action="store_true", help="for programs: one JSON document, or one object a line")
    return parent


def _job(parser: argparse.ArgumentParser, *, needed: bool = False) -> None:
    parser.add_argument(
        "job",
        nargs=None if needed else "?",
        metavar="JOB",
        help="its name" + ("" if needed else " (default: the newest)"),
    )


def _submit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input",
        nargs="?",
        metavar="INPUT",
        help="a local folder or file, https://..., azureml://datastores/<d>/paths/<p>, or a data asset as NAME:VERSION "
        "or NAME@latest",
    )
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        dest="input_named",
        metavar="NAME=INPUT",
        help="of a pipeline deployment, by name; may be repeated",
    )
    parser.add_argument(
        "--literal", action="append", default=[], metavar="NAME=VALUE", help="of a pipeline deployment; may be repeated"
    )
    parser.add_argument("--input-type", choices=("file", "folder"), help="where it cannot be told by looking")
    parser.add_argument("--register", metavar="NAME[:VERSION]", help="make the input a data asset first")
    parser.add_argument("--deployment", metavar="NAME", help="another than the default")
    parser.add_argument(
        "--output",
        action="append",
        metavar="URI",
        help="azureml://datastores/<d>/paths/<p> instead of a place of its own; NAME=URI of a pipeline deployment",
    )
    parser.add_argument("--output-file", metavar="NAME", help="name of the predictions file")
    parser.add_argument("--watch", action="store_true", help="and follow the job to its end, which is the exit code")
    parser.add_argument("--new", action="store_true", help="start a job even if an interrupted run started one")
    parser.add_argument(
        "--key", metavar="TEXT", help="of your own: one job for it, whenever and wherever it is used again"
    )
    overrides.add_options(parser)


__all__ = ["Parser", "parse"]
