"""Sources, zones, programs, doses, timetables and decisions: one definition for rules, wire, API and configuration.

Plain frozen dataclasses, one noun a module, gathered here. Each checks itself: a value out of range raises ValueError
with a sentence that names the field. `__pydantic_config__` makes the codecs at the rim refuse unknown fields.
"""

from typing import NewType

from irrigation.after_trouble import AfterTrouble, MakeUp
from irrigation.amount import MAX_LITRES, MAX_MINUTES, Adjust, Carried, CurvePoint, CycleSoak, Dose
from irrigation.bounds import aware, known_zone, slug, within
from irrigation.condition import Condition, ConditionKind, Missing, Observed
from irrigation.days import (
    BaseCalendar,
    Calendar,
    Cron,
    Dates,
    DryDays,
    EvenDays,
    EveryNDays,
    MonthDays,
    OddDays,
    Season,
    Weekly,
)
from irrigation.farm import Farm, Hold
from irrigation.forecast import Expected, Forecast
from irrigation.knowledge import ActiveRun, Former, Knowledge, Moisture, PlanState, SourceTrouble, Trouble
from irrigation.program import Order, Program, ZoneDose
from irrigation.queue import Queued, QueuePlace, QueuePolicy
from irrigation.rota import Loan, Ration, Rota, Share, ShareUnit, Shortage, Swap
from irrigation.site import Group, Household, SensorAt, Source, Zone
from irrigation.starts import Finish, IfLate, Repeat, Start, Sun, Window
from irrigation.timetable import BaseEntry, Decision, Entry, Result, Rule, Skip, Timetable

FarmId = NewType("FarmId", str)
NodeId = NewType("NodeId", str)
ZoneId = NewType("ZoneId", str)
SourceId = NewType("SourceId", str)
ProgramId = NewType("ProgramId", str)
RunId = NewType("RunId", str)

__all__ = [
    "MAX_LITRES",
    "MAX_MINUTES",
    "ActiveRun",
    "Adjust",
    "AfterTrouble",
    "BaseCalendar",
    "BaseEntry",
    "Calendar",
    "Carried",
    "Condition",
    "ConditionKind",
    "Cron",
    "CurvePoint",
    "CycleSoak",
    "Dates",
    "Decision",
    "Dose",
    "DryDays",
    "Entry",
    "EvenDays",
    "EveryNDays",
    "Expected",
    "Farm",
    "FarmId",
    "Finish",
    "Forecast",
    "Former",
    "Group",
    "Hold",
    "Household",
    "IfLate",
    "Knowledge",
    "Loan",
    "MakeUp",
    "Missing",
    "Moisture",
    "MonthDays",
    "NodeId",
    "Observed",
    "OddDays",
    "Order",
    "PlanState",
    "Program",
    "ProgramId",
    "QueuePlace",
    "QueuePolicy",
    "Queued",
    "Ration",
    "Repeat",
    "Result",
    "Rota",
    "Rule",
    "RunId",
    "Season",
    "SensorAt",
    "Share",
    "ShareUnit",
    "Shortage",
    "Skip",
    "Source",
    "SourceId",
    "SourceTrouble",
    "Start",
    "Sun",
    "Swap",
    "Timetable",
    "Trouble",
    "Weekly",
    "Window",
    "Zone",
    "ZoneDose",
    "ZoneId",
    "aware",
    "known_zone",
    "slug",
    "within",
]
