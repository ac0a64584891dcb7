"""The gateway's own configuration file: which farm it answers for, its brokers and where its journal lies."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contract.link import LinkSettings
from contract.messages import Slug
from contract.topics import GATEWAY


class PlanSettings(BaseModel):
    """How far ahead to plan. Boards follow their base plan when they have heard nothing for that long."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: Annotated[int, Field(ge=1, le=60)] = 14


class Settings(BaseModel):
    """All of gateway.toml. `uplink` is the broker that the server listens to; without it, that of the boards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    farm_id: Slug
    data_dir: Path
    client_id: Annotated[str, Field(min_length=1, max_length=65)] = ""
    max_readings: Annotated[int, Field(ge=1000, le=50_000_000)] = 500_000
    mqtt: LinkSettings = LinkSettings()
    uplink: LinkSettings | None = None
    plan: PlanSettings = PlanSettings()

    @model_validator(mode="before")
    @classmethod
    def _name(cls, given: object) -> object:
        if isinstance(given, dict) and "client_id" not in given and isinstance(given.get("farm_id"), str):
            return given | {"client_id": f"{given['farm_id']}-{GATEWAY}"}
        return given
