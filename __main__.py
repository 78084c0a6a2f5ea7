"""The program: settings, the folders that they name, one component, its outputs."""

import os
import signal
from types import FrameType

import pulumi

from components.batch_scoring import BatchScoring
from providers.schema import InvalidSettings
from stacks import settings as stack_settings
from stacks.normal_form import normal_form


def main() -> None:
    project, stack = pulumi.get_project(), pulumi.get_stack()
    try:
        settings = stack_settings.read()
        sources = stack_settings.gather(settings, stack_settings.remembered)
    except InvalidSettings as invalid:
        raise pulumi.RunError(f"stacks/Pulumi.{stack}.yaml has settings that cannot be:\n{invalid}") from None
    scoring = BatchScoring(project, settings.placement(project, stack), normal_form(settings, project), sources)
    for name, value in scoring.outputs.items():
        pulumi.export(name, value)


def _end(_number: int, _frame: FrameType | None) -> None:
    """The engine has given up, and says why. The SDK's loop would print its own traceback below that."""
    os._exit(128 + signal.SIGINT)


signal.signal(signal.SIGINT, _end)

main()
