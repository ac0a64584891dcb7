"""A farm: its snapshot, its changes as they happen, its hold, its alerts, and the order to close everything."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from irrigation.model import Forecast, Hold
from server import shapes
from server.api.body import ForecastBody, HoldBody, HouseRulesBody, body, described
from server.api.doors import InThisFarm, Made, OfAlert, SignedIn
from server.errors import Refused
from server.live import Subscription
from server.shapes import Json

router = APIRouter(tags=["farm"])


@router.get("/farms/{farm_id}/snapshot")
async def snapshot(view: InThisFarm, made: Made) -> Json:
    """Everything that the home screen needs."""
    return view.snapshot(made.now())


@router.get("/farms/{farm_id}/live", response_class=StreamingResponse)
async def live(view: InThisFarm, made: Made) -> StreamingResponse:
    """The snapshot, then what changes (server-sent events)."""
    subscription = made.live.subscribe(view.farm.id)

    async def events() -> AsyncIterator[str]:
        try:
            async for event, number, data in subscription.messages():
                yield f"event: {event}\nid: {number}\ndata: {data}\n\n"
        finally:
            leave(subscription)

    def leave(gone: Subscription) -> None:
        made.live.leave(view.farm.id, gone)

    return StreamingResponse(
        events(), media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


@router.post("/farms/{farm_id}/stop-all", status_code=202)
async def stop_all(view: InThisFarm, account: SignedIn, made: Made) -> Json:
    """Close every valve, and go on saying so until the gateway has taken it."""
    wish = await made.watering.stop_all(account, view)
    nodes = view.snapshot(made.now())["nodes"]
    valves = [valve | {"node_id": node_id} for node_id, node in nodes.items() for valve in node["valves"]]
    return {"id": wish, "valves": valves}


@router.put("/farms/{farm_id}/hold", openapi_extra=described(HoldBody))
async def hold(
    view: InThisFarm, account: SignedIn, made: Made, given: Annotated[HoldBody, body(HoldBody)]
) -> Json | None:
    """Keep programs from starting for a while."""
    if given.pause and given.emergency:
        raise Refused("bad-field", field="pause", why="it does not go with emergency")
    until = _moment(given.until, "until")
    wanted = Hold(until=until, reason=given.reason, emergency=given.emergency, pause=given.pause)
    await made.planning.hold(account, view, wanted)
    return shapes.hold(wanted)


@router.delete("/farms/{farm_id}/hold", status_code=204)
async def release(view: InThisFarm, account: SignedIn, made: Made) -> None:
    """Let programs start again."""
    await made.planning.hold(account, view, None)


@router.get("/farms/{farm_id}/forecast")
async def forecast(view: InThisFarm) -> Json | None:
    """The forecast of rain that the farm goes by."""
    return shapes.forecast(view.farm.forecast)


@router.put("/farms/{farm_id}/forecast", openapi_extra=described(ForecastBody))
async def set_forecast(
    view: InThisFarm, account: SignedIn, made: Made, given: Annotated[ForecastBody, body(ForecastBody)]
) -> Json | None:
    """Tell the farm what rain is expected; for technicians and managers. It takes the place of the last one."""
    try:
        wanted = Forecast(issued_at=_moment(given.issued_at, "issued_at"), rain=given.rain)
    except ValueError as exc:
        raise Refused("bad-field", field="rain", why=str(exc)) from None
    await made.planning.forecast(account, view, wanted)
    return shapes.forecast(wanted)


@router.delete("/farms/{farm_id}/forecast", status_code=204)
async def drop_forecast(view: InThisFarm, account: SignedIn, made: Made) -> None:
    """Go by no forecast any more."""
    await made.planning.forecast(account, view, None)


@router.post("/farms/{farm_id}/nodes/{node_id}/channels/{channel}/reset", status_code=202)
async def reset(view: InThisFarm, node_id: str, channel: str, account: SignedIn, made: Made) -> Json:
    """Let a valve open again that faults have locked; for technicians and managers. Its board has the last word."""
    return shapes.reset(await made.resets.ask(account, view, node_id, channel))


@router.get("/farms/{farm_id}/rules")
async def rules(view: InThisFarm) -> Json:
    """What binds every program of the farm."""
    return shapes.house_rules(view.farm)


@router.put("/farms/{farm_id}/rules", openapi_extra=described(HouseRulesBody))
async def set_rules(
    view: InThisFarm, account: SignedIn, made: Made, given: Annotated[HouseRulesBody, body(HouseRulesBody)]
) -> Json:
    """Set what binds every program: groups of zones, allowed hours, days without water."""
    await made.planning.set_rules(account, view, given.rules())
    return shapes.house_rules(view.farm)


@router.post("/alerts/{alert_id}/acknowledge")
async def acknowledge(found: OfAlert, account: SignedIn, made: Made) -> Json:
    """A person has seen an alert."""
    return shapes.alert(await made.watering.acknowledge(account, found.farm, found.thing))


def _moment(text: str, field: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused("bad-field", field=field, why="why.time") from None
    if moment.tzinfo is None:
        raise Refused("bad-field", field=field, why="why.time")
    return moment
