"""What handlers may ask for by name, as `build_app` hands it out."""

from __future__ import annotations

from typing import TypeAlias

from litestar.di import NamedDependency

from triggerfish.compose import Desk
from triggerfish.walk import FrontDoor
from triggerfish.web.ready import Examiner

Front: TypeAlias = NamedDependency[FrontDoor]
"""For a parameter named `front`."""

TheDesk: TypeAlias = NamedDependency[Desk]
"""For a parameter named `desk`: what reads and pages work with."""

TheExaminer: TypeAlias = NamedDependency[Examiner]
"""For a parameter named `examiner`: who says whether the server is fit."""
