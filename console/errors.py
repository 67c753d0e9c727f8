"""What a request or a start can fail with, and who answers for it."""

from http import HTTPStatus


class SettingsError(Exception):
    """The settings or a file that they name cannot be used: the process does not start, exit code 2."""


class Problem(Exception):  # noqa: N818  the name says what the caller gets
    """A request that is not answered as asked; `console.port.problems` writes it in the form of its API.

    Args:
        status: HTTP status; 4xx: the caller can do something about it.
        code: Stable name for programs.
        message: What was found, what was expected and what to do. Holds no text of the request.
        param: The field at fault, where one is.
        retry_after_s: When to ask again, whole seconds; None where that is no help.
        reason: Perspective's `errorType`, where it has one for this.
        details: Further members for programs: of Perspective's error detail; of a conflict who has the item.
    """

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: int | None = None,
        reason: str | None = None,
        details: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.reason = reason
        self.details = details or {}
