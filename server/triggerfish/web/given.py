"""What handlers may ask for by name, as `build_app` hands it out."""

from __future__ import annotations

from typing import TypeAlias

from litestar.di import NamedDependency

from triggerfish.walk import FrontDoor

Front: TypeAlias = NamedDependency[FrontDoor]
"""For a parameter named `front`."""
