"""Azure Resource Manager over httpx: ids, sign-in, requests, operations, errors. Knows neither Pulumi nor AML."""

from .answer import Answer
from .client import ArmClient, client
from .clouds import CHINA, PUBLIC, US_GOVERNMENT, Cloud, cloud
from .credentials import credential
from .errors import (
    AnswerLost,
    ArmError,
    BadAnswer,
    Busy,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    ForeignHost,
    Invalid,
    NotFound,
    OperationCanceled,
    OperationFailed,
    ServerTrouble,
    Throttled,
    Unauthorized,
    Unreachable,
)
from .ids import ArmId, same_id, workspace_id
from .operations import Progress

__all__ = [
    "CHINA",
    "PUBLIC",
    "US_GOVERNMENT",
    "Answer",
    "AnswerLost",
    "ArmClient",
    "ArmError",
    "ArmId",
    "BadAnswer",
    "Busy",
    "Cloud",
    "Conflict",
    "DeadlineExceeded",
    "Forbidden",
    "ForeignHost",
    "Invalid",
    "NotFound",
    "OperationCanceled",
    "OperationFailed",
    "Progress",
    "ServerTrouble",
    "Throttled",
    "Unauthorized",
    "Unreachable",
    "client",
    "cloud",
    "credential",
    "same_id",
    "workspace_id",
]
