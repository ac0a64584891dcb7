"""Whether the process lives, whether it can work, and its counters."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from contract.messages import Lane
from server.api.doors import Made
from server.errors import Unavailable
from server.shapes import Json

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> Json:
    """The process lives."""
    return {"status": "ok"}


@router.get("/readyz")
async def ready(made: Made) -> Response:
    """Ledger, series and broker answer; 503 with which does not."""
    away = {}
    try:
        made.ledger.check()
    except Unavailable as exc:
        away["ledger"] = str(exc)
    try:
        await made.series.check()
    except Unavailable as exc:
        away["series"] = str(exc)
    if not made.gateways.connected:
        away["broker"] = "broker does not answer"
    return JSONResponse({"status": "away" if away else "ready", "away": away}, 503 if away else 200)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(made: Made) -> PlainTextResponse:
    """Counters for Prometheus."""
    views = made.live.views()
    gauges = {
        "tuoi_readings_stored_total": ("Readings stored since the start.", float(made.ingest.stored[Lane.READINGS])),
        "tuoi_events_stored_total": ("Events stored since the start.", float(made.ingest.stored[Lane.EVENTS])),
        "tuoi_series_backlog": ("Readings that wait for the series store.", float(made.series.backlog())),
        "tuoi_broker_connected": ("1 while the broker answers.", float(made.gateways.connected)),
        "tuoi_gateways_online": ("Gateways that are online.", float(sum(view.gateway_online for view in views))),
        "tuoi_farms": ("Farms that are set up.", float(len(views))),
        "tuoi_alerts_open": ("Alerts that are not cleared.", float(sum(len(view.alerts) for view in views))),
        "tuoi_live_watchers": ("Phones that watch a farm.", float(made.live.watchers())),
    }
    return PlainTextResponse(made.metrics.text(gauges), media_type="text/plain; version=0.0.4; charset=utf-8")
