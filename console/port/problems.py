"""Problems in the form of the API that was asked: OpenAI's under /v1, Google's under /v1alpha1.

Invariant: no text of a request stands in an answer to a problem, and none says more than its caller may know.
"""

from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.responses import Response

from console.errors import Problem

_GOOGLE_PATHS: Final = ("/v1alpha1/", "/$discovery/")
_ERROR_TYPE: Final = "type.googleapis.com/google.commentanalyzer.v1alpha1.Error"
_ERROR_INFO: Final = "type.googleapis.com/google.rpc.ErrorInfo"

_GOOGLE_INSTEAD: Final = {
    HTTPStatus.UNAUTHORIZED: HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNPROCESSABLE_ENTITY: HTTPStatus.BAD_REQUEST,
}
"""Perspective has no other status for a wrong argument than 400, and for a wrong key than 403."""

_GOOGLE_STATUS: Final = {
    HTTPStatus.FORBIDDEN: "PERMISSION_DENIED",
    HTTPStatus.NOT_FOUND: "NOT_FOUND",
    HTTPStatus.REQUEST_TIMEOUT: "DEADLINE_EXCEEDED",
    HTTPStatus.TOO_MANY_REQUESTS: "RESOURCE_EXHAUSTED",
    HTTPStatus.INTERNAL_SERVER_ERROR: "INTERNAL",
    HTTPStatus.NOT_IMPLEMENTED: "UNIMPLEMENTED",
    HTTPStatus.SERVICE_UNAVAILABLE: "UNAVAILABLE",
    HTTPStatus.GATEWAY_TIMEOUT: "DEADLINE_EXCEEDED",
}


class JsonResponse(Response):
    """A JSON body, encoded once."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode the body."""
        return orjson.dumps(content)


def is_google(path: str) -> bool:
    """Say whether a path belongs to Perspective's API."""
    return path.startswith(_GOOGLE_PATHS)


def problem_response(problem: Problem, path: str) -> JsonResponse:
    """Return the answer to a problem, with `retry-after` where it says when to ask again."""
    headers = {} if problem.retry_after_s is None else {"retry-after": str(problem.retry_after_s)}
    if problem.status is HTTPStatus.UNAUTHORIZED and not is_google(path):
        headers["www-authenticate"] = "Bearer"
    if not _may_be_tried_again(problem):
        # OpenAI's clients try 408, 409 and every 5xx again unless told not to.
        headers["x-should-retry"] = "false"
    status, body = _google(problem) if is_google(path) else (problem.status, _openai(problem))
    return JsonResponse(body, status, headers)


def _may_be_tried_again(problem: Problem) -> bool:
    return problem.retry_after_s is not None or problem.status in {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.GATEWAY_TIMEOUT,
    }


def _openai(problem: Problem) -> dict[str, Any]:
    if problem.status is HTTPStatus.TOO_MANY_REQUESTS:
        kind = "rate_limit_error"
    elif problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = "server_error"
    else:
        kind = "invalid_request_error"
    error: dict[str, Any] = {"message": problem.message, "type": kind, "param": problem.param, "code": problem.code}
    if problem.details:
        error["details"] = problem.details
    return {"error": error}


def _google(problem: Problem) -> tuple[HTTPStatus, dict[str, Any]]:
    status = _GOOGLE_INSTEAD.get(problem.status, problem.status)
    is_argument = status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _GOOGLE_STATUS
    details: list[dict[str, Any]] = []
    if status is HTTPStatus.TOO_MANY_REQUESTS:
        details = [{"@type": _ERROR_INFO, "reason": "RATE_LIMIT_EXCEEDED", "domain": "googleapis.com", "metadata": {}}]
    elif is_argument:
        details = [{"@type": _ERROR_TYPE, "errorType": problem.reason or "INVALID_REQUEST", **problem.details}]
    error: dict[str, Any] = {
        "code": status.value,
        "message": problem.message,
        "status": _GOOGLE_STATUS.get(status, "INVALID_ARGUMENT"),
    }
    if details:
        error["details"] = details
    return status, {"error": error}
