"""The page /operate, and what it shows: the results of monitoring, experiment and decision."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, Field

from linnet.monitor.page import served_page
from linnet.monitor.results import read_results
from linnet.serve.errors import responses
from linnet.serve.models.service import Service
from linnet.serve.routes.pages import with_policy
from linnet.serve.routes.request import arm_infos, service_of
from linnet.serve.routes.schemas import ArmInfo

PAGE = with_policy(served_page())

router = APIRouter()


class Operation(BaseModel):
    """What the commands found, and what is at work."""

    drift: dict[str, Any] | None = Field(description="drift.json, of `linnet monitor`.")
    experiment: dict[str, Any] | None = Field(
        description="experiment.json, of `linnet experiment`."
    )
    decision: dict[str, Any] | None = Field(description="decision.json, of `linnet decide`.")
    missing: dict[str, str] = Field(description="Files that there are not, with their commands.")
    broken: dict[str, str] = Field(description="Files that can't be used, with the reasons.")
    age_seconds: float | None = Field(description="Since drift.json was written.")
    arms: list[ArmInfo] = Field(description="The models at work.")


@router.get(
    "/admin/operate",
    summary="What monitoring found",
    response_model=Operation,
    responses=responses(500, 503),
)
async def operation(service: Annotated[Service, Depends(service_of)]) -> Response:
    """The files in the folder `monitor.directory`; a broken one is a sentence."""
    arms = [arm.model_dump(mode="json") for arm in arm_infos(service.arms)]
    folder = Path(service.config.monitor.directory)
    content = await asyncio.to_thread(_content, folder, arms)
    return Response(content, media_type="application/json")


@router.get("/operate", include_in_schema=False)
async def page() -> HTMLResponse:
    """The verdict, what it rests on, and buttons for what it allows."""
    return HTMLResponse(PAGE.html, headers=PAGE.headers)


def _content(folder: Path, arms: list[dict[str, Any]]) -> bytes:
    content = {**read_results(folder).content(), "arms": arms}
    return json.dumps(content, allow_nan=False).encode()
