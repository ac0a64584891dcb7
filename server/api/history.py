"""What was measured, and how much was watered."""

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import JSONResponse

from contract.messages import Quantity
from server.api.doors import InThisFarm, Made, OfZone
from server.history import MAX_POINTS, unit
from server.shapes import iso

router = APIRouter(tags=["history"])

From = Annotated[datetime | None, Query(alias="from")]
To = Annotated[datetime | None, Query(alias="to")]
Accept = Annotated[str, Header()]


@router.get("/zones/{zone_id}/series")
async def series(
    found: OfZone,
    made: Made,
    start: From = None,
    end: To = None,
    quantity: Quantity = Quantity.SOIL_MOISTURE,
    points: Annotated[int, Query(ge=2, le=MAX_POINTS)] = 300,
    accept: Accept = "",
) -> Response:
    """What a zone's sensors measured; the last 24 hours when nothing else is asked."""
    first, last = made.history.window(start, end, timedelta(hours=24))
    span = await made.history.series(found.farm, found.thing, quantity, first, last, points)
    if _wants_csv(accept):
        head = ("at", "mean", "min", "max", "unit")
        rows = (
            (
                datetime.fromtimestamp(p.at_s, UTC).isoformat(),
                f"{p.mean:g}",
                f"{p.low:g}",
                f"{p.high:g}",
                unit(quantity),
            )
            for p in span.points
        )
        return _csv(f"{found.thing.id}-{quantity.value}", head, rows)
    shown = [[_seconds(p.at_s), round(p.mean, 3), round(p.low, 3), round(p.high, 3)] for p in span.points]
    return JSONResponse({
        "quantity": quantity.value, "unit": unit(quantity), "step_s": span.step_s, "points": shown,
        "last_at": iso(span.last_at),
    })  # fmt: skip


_READING = ("at", "sensor", "value", "quality", "reason", "raw", "raw_unit", "temperature_c", "supply_v")


@router.get("/zones/{zone_id}/readings")
async def readings(
    found: OfZone,
    made: Made,
    start: From = None,
    end: To = None,
    quantity: Quantity = Quantity.SOIL_MOISTURE,
    limit: Annotated[int, Query(ge=1, le=MAX_POINTS)] = 300,
    accept: Accept = "",
) -> Response:
    """What each sensor of a zone said, word for word: raw values, doubts and bad readings too; the last 24 hours."""
    first, last = made.history.window(start, end, timedelta(hours=24))
    measured = await made.history.readings(found.farm, found.thing, quantity, first, last, limit)
    rows = [
        {
            "at": iso(one.at), "sensor": sensor.sensor, "value": one.value, "quality": one.quality.value,
            "reason": one.reason, "raw": one.raw, "raw_unit": one.raw_unit, "temperature_c": one.temperature_c,
            "supply_v": one.supply_v,
        } for sensor, one in measured
    ]  # fmt: skip
    if _wants_csv(accept):
        name = f"{found.thing.id}-{quantity.value}-readings"
        return _csv(name, (*_READING, "unit"), ((*row.values(), unit(quantity)) for row in rows))
    return JSONResponse({"quantity": quantity.value, "unit": unit(quantity), "readings": rows})


@router.get("/farms/{farm_id}/water-use")
async def water_use(
    view: InThisFarm,
    made: Made,
    by: Literal["day", "zone"] = "day",
    start: From = None,
    end: To = None,
    accept: Accept = "",
) -> Response:
    """Litres and minutes by farm-local day or by zone; the last 30 days when nothing else is asked."""
    first, last = made.history.window(start, end, timedelta(days=30))
    used = made.history.water_use(view, by, first, last)
    key = "zone_id" if by == "zone" else "day"
    rows = [
        {key: use.key, "litres": round(use.litres, 1), "minutes": round(use.minutes, 1), "metered": use.metered}
        for use in used
    ]
    if _wants_csv(accept):
        return _csv(f"{view.farm.id}-water", (key, "litres", "minutes", "metered"), (row.values() for row in rows))
    return JSONResponse({"by": by, "rows": rows})


def _wants_csv(accept: str) -> bool:
    return "text/csv" in accept.lower()


def _csv(name: str, head: Iterable[str], rows: Iterable[Iterable[Any]]) -> Response:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows(rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(text.getvalue(), headers=headers, media_type="text/csv; charset=utf-8")


def _seconds(at_s: float) -> float:
    return int(at_s) if at_s == int(at_s) else round(at_s, 3)
