"""Signing in and out."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from server.accounts import SESSION_LIFE
from server.api.body import SignIn, body, described
from server.api.doors import COOKIE, Made, SignedIn
from server.shapes import Json, me

router = APIRouter(tags=["session"])


@router.post("/session", openapi_extra=described(SignIn))
async def sign_in(request: Request, response: Response, made: Made, given: Annotated[SignIn, body(SignIn)]) -> Json:
    """Sign in."""
    address = request.client.host if request.client else ""
    account, token = await made.doorkeeper.sign_in(given.name, given.password, address)
    response.set_cookie(
        COOKIE, token, max_age=int(SESSION_LIFE.total_seconds()), httponly=True, samesite="strict",
        secure=made.secure_cookie, path="/",
    )  # fmt: skip
    return me(account, made.live.names())


@router.get("/session")
async def who(account: SignedIn, made: Made) -> Json:
    """Who is signed in."""
    return me(account, made.live.names())


@router.delete("/session", status_code=204)
async def sign_out(request: Request, response: Response, made: Made, _account: SignedIn) -> None:
    """Sign out."""
    made.doorkeeper.sign_out(request.cookies[COOKIE])
    response.delete_cookie(COOKIE, path="/")
