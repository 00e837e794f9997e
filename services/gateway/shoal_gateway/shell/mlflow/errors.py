"""Errors in the form in which MLflow's client reads them."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from shoal_gateway.core.run_filter import FilterError
from shoal_gateway.shell.problems import PATH, ProblemError, invalid_request

_CODES = {
    400: "INVALID_PARAMETER_VALUE",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_ALREADY_EXISTS",
    503: "TEMPORARILY_UNAVAILABLE",
}
ENDPOINT = "ENDPOINT_NOT_FOUND"
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class MlflowRoute(APIRoute):
    """A route whose errors have an `error_code`."""

    def handler(self) -> Handler:
        """What answers, and raises errors."""
        return super().get_route_handler()

    def get_route_handler(self) -> Handler:
        """The handler, with its errors turned."""
        handle = self.handler()

        async def turned(request: Request) -> Response:
            try:
                return await handle(request)
            except ProblemError as error:
                return _answer(error.status, error.detail, ENDPOINT if error.kind == PATH else None)
            except FilterError as error:
                return _answer(400, str(error))
            except RequestValidationError as error:
                return _answer(400, invalid_request(request, error).detail)

        return turned


def _answer(status: int, message: str, code: str | None = None) -> Response:
    code = code or _CODES.get(status, "INVALID_STATE" if status < 500 else "INTERNAL_ERROR")
    # The client takes this code for a bad request, whatever the status.
    status = 400 if status == 409 else status
    return JSONResponse({"error_code": code, "message": message}, status)
