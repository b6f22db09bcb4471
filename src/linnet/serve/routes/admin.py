"""The routes for operators: which models are at work, and how much each of them answers."""

from fastapi import APIRouter, Request

from linnet.errors import LinnetError
from linnet.serve.errors import APIError, responses
from linnet.serve.models.service import Service
from linnet.serve.routes.request import arm_infos, body_of, body_schema
from linnet.serve.routes.schemas import Models, RollBackRequest, SharesRequest, SwapRequest

BY_HAND = "a person asked for it"

router = APIRouter(prefix="/admin")


@router.post(
    "/models",
    summary="Put other models to work",
    response_model=Models,
    responses=responses(400, 413, 415, 422, 500, 503, 504),
    openapi_extra=body_schema(SwapRequest),
)
async def swap_models(request: Request) -> Models:
    """Loads other bundles next to the present ones, then switches; no request fails.

    Where one can't be used the old ones go on, and the answer says why. The paths are the service's
    own.
    """
    service: Service = request.app.state.service
    body = await body_of(request, SwapRequest)
    try:
        return Models(arms=arm_infos(await service.swap(body.arms)))
    except LinnetError as error:  # of the arms that were asked for: whoever asks is to know
        raise APIError(422, error.code, str(error)) from None


@router.post(
    "/shares",
    summary="Change the shares of models",
    response_model=Models,
    responses=responses(400, 409, 413, 415, 422, 500, 503),
    openapi_extra=body_schema(SharesRequest),
)
async def set_shares(request: Request) -> Models:
    """Changes how much each challenger and shadow answers, at once and without reading a bundle.

    Keys and texts that a challenger answers stay with it while its share grows.
    """
    service: Service = request.app.state.service
    body = await body_of(request, SharesRequest)
    try:
        return Models(arms=arm_infos(service.set_shares(body.shares)))
    except LinnetError as error:
        raise APIError(422, error.code, str(error)) from None


@router.post(
    "/rollback",
    summary="Roll a challenger back, or lift that",
    response_model=Models,
    responses=responses(400, 413, 415, 422, 500, 503),
    openapi_extra=body_schema(RollBackRequest),
)
async def roll_back(request: Request) -> Models:
    """Sets a challenger's share to 0 at once. Restarts and swaps keep it there until it is lifted.

    The service does the same by itself if a challenger harms (`experiment.rollback`).
    """
    service: Service = request.app.state.service
    body = await body_of(request, RollBackRequest)
    try:
        arms = service.reset(body.arm) if body.reset else service.roll_back(body.arm, BY_HAND)
    except LinnetError as error:
        raise APIError(422, error.code, str(error)) from None
    return Models(arms=arm_infos(arms))
