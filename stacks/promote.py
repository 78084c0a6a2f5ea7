"""`python -m stacks promote FROM TO`: the ids of what FROM's smoke jobs have passed on, into TO's stack file."""

import argparse
import sys
from collections.abc import Mapping

from providers.schema import InvalidSettings
from stacks import checking, promotion
from stacks.engine import PROJECT, ROOT, CannotRun, choose, stack_file
from stacks.state import read_state


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m stacks promote", description="Write what one stack has tested into the file of another one."
    )
    parser.add_argument("source", metavar="FROM", help="the stack whose smoke job has passed")
    parser.add_argument("target", metavar="TO", help="the stack whose file is changed; nothing is deployed")
    parser.add_argument("--endpoint", help="the only one to promote, by its name in the stack files; by default all")
    parser.add_argument("--deployment", help="name of the deployment in TO's file; by default as in FROM's")
    asked = parser.parse_args(arguments)
    try:
        engine = choose(asked.source, environ)
        state = read_state(engine, asked.source)
        if state is None:
            raise CannotRun(f"no stack named {asked.source!r} found: it was never deployed; `make up` first")
        file = stack_file(asked.target)
        placement = checking.settings_of(file).placement(PROJECT, asked.target)
        found = promotion.passed(asked.source, state, asked.endpoint)
        if asked.deployment and len(found) > 1:
            raise promotion.CannotPromote("--deployment is about one endpoint; say which, --endpoint NAME")
        before = after = file.read_text(encoding="utf-8")
        for each in found:
            promotion.refuse_elsewhere(each, placement.workspace_id, asked.target)
            promotion.refuse_what_would_vanish(asked.source, state, each)
            after = promotion.promoted(after, asked.deployment or each.setting, each)
        if after != before:
            file.write_text(after, encoding="utf-8")
    except (CannotRun, promotion.CannotPromote) as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 2
    except InvalidSettings as invalid:
        print(f"error: stacks/Pulumi.{asked.target}.yaml has settings that cannot be:\n{invalid}", file=sys.stderr)
        return 2
    for each in found:
        print(f"{each.deployment} of stack {asked.source}, on which job {each.job} has passed:")
        for asset in each.assets:
            print(f"  {asset}")
    name, changed = file.relative_to(ROOT), after != before
    print(
        f"{name} names them now: review, commit, `make up STACK={asked.target}`" if changed else f"{name}: so already"
    )
    return 0
