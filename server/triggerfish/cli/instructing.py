"""How a command tells the workspace what somebody decided (instructions.py): through the running server, or straight
into the log when none runs; then it is carried out when one does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Literal

import httpx
import msgspec

from triggerfish.cli.plan.aside import server_address
from triggerfish.compose import front_door, open_log, prepare
from triggerfish.config import Settings
from triggerfish.errors import Refused
from triggerfish.instructions import Instruction
from triggerfish.walk import instruct

BY = "command line"


def tell(
    settings: Settings,
    instruction: Instruction | Sequence[Instruction],
    method: Literal["POST", "DELETE"],
    path: str,
    body: object,
) -> bool:
    """Let an instruction in, or several, all or none: `method`, `path` and `body` are how the server takes it. Returns
    whether one runs; else it waits in the log. Raises Refused (TF665) when the server does not take it.
    """
    address = server_address(settings)
    if address is not None:
        headers = {"Authorization": f"Bearer {settings.keys.admin.reveal()}", "Content-Type": "application/json"}
        content = b"" if body is None else msgspec.json.encode(body)
        try:
            with httpx.Client(timeout=60.0, trust_env=False) as client:
                answer = client.request(method, f"{address}{path}", content=content, headers=headers)
        except httpx.ConnectError:
            address = None
        except httpx.HTTPError as error:
            raise Refused(f"the server at {address} did not answer: {error}", code="TF665", hint="try again") from error
        else:
            if answer.status_code != 200:
                sentence = f"the server at {address} answered {answer.status_code}: {answer.text[:300]}"
                hint = "is it the server of this workspace, and of this version?"
                raise Refused(sentence, code="TF665", hint=hint)
            return True
    prepare(settings)
    asyncio.run(_append(settings, instruction if isinstance(instruction, Sequence) else [instruction]))
    return False


async def _append(settings: Settings, instructions: Sequence[Instruction]) -> None:
    with contextlib.closing(open_log(settings)) as log:
        await instruct(front_door(settings, log, ring=lambda: None, demo_since=None), instructions, by=BY)


def rule_named(text: str) -> tuple[str, str]:
    """`RULESET` or `RULESET/RULE`, blanks around the slash or not."""
    ruleset, _, rule = text.partition("/")
    return ruleset.strip(), rule.strip()


def when(is_running: bool) -> str:
    return "" if is_running else "; no server runs, so it is carried out when one does"
