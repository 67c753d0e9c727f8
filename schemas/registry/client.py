"""The few calls of Confluent's Schema Registry API that registering needs, over the standard library's HTTP.

Invariants: credentials go to the registry's own address alone, since no redirect is followed; no error quotes them.

Source: Schema Registry API reference (Subjects, Compatibility, Config); error codes 40401 to 40408.
"""

import base64
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlsplit

CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"
USERNAME_VARIABLE: Final = "SCHEMA_REGISTRY_USERNAME"
PASSWORD_VARIABLE: Final = "SCHEMA_REGISTRY_PASSWORD"  # noqa: S105  the name of a variable
TOKEN_VARIABLE: Final = "SCHEMA_REGISTRY_TOKEN"  # noqa: S105  the name of a variable
TIMEOUT_S: Final = 15.0
_MAX_QUOTED: Final = 300


class RegistryError(Exception):
    """The registry cannot be asked or refuses; the message says what was found, expected and to be done."""


@dataclass(frozen=True)
class Registered:
    """One schema in a subject."""

    id: int
    version: int
    guid: str | None
    """None from a registry that knows no GUIDs (Confluent's before 8.0)."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Lets a redirect become an error: the credentials are the registry's, not another host's."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def credentials(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the headers that say who asks: HTTP Basic, a bearer token, or nothing.

    Raises:
        RegistryError: half of a pair is set, or both ways are.
    """
    username, password, token = (
        environment.get(name, "") for name in (USERNAME_VARIABLE, PASSWORD_VARIABLE, TOKEN_VARIABLE)
    )
    if bool(username) != bool(password) or (token and username):
        raise RegistryError(
            f"found an incomplete or double login; expected {USERNAME_VARIABLE} and {PASSWORD_VARIABLE}, or "
            f"{TOKEN_VARIABLE}, or none of them; set one way"
        )
    if token:
        return {"authorization": f"Bearer {token}"}
    if username:
        return {"authorization": f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"}
    return {}


class Registry:
    """A schema registry.

    Args:
        url: Its address, http or https; a path before the API's own is kept.
        headers: Of every request; see `credentials`.

    Raises:
        RegistryError: the address is none, or holds a password.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RegistryError("the registry's address is not one; expected http://HOST:PORT or https://HOST:PORT")
        if parts.username is not None or parts.password is not None:
            raise RegistryError(
                f"the registry's address holds a login, which every list of processes shows; set {USERNAME_VARIABLE} "
                f"and {PASSWORD_VARIABLE} instead"
            )
        self._url = url.rstrip("/")
        self._headers = {"accept": CONTENT_TYPE, "content-type": CONTENT_TYPE, **(headers or {})}
        self._opener = urllib.request.build_opener(_NoRedirects)

    def find(self, subject: str, schema: str) -> Registered | None:
        """Return what a subject has this very schema under; None where it has not."""
        found = self._ask("POST", f"/subjects/{quote(subject, safe='')}", _body(schema), may_lack=True)
        return None if found is None else _registered(found)

    def incompatibilities(self, subject: str, schema: str) -> list[str]:
        """Return what keeps a schema from the next version of a subject, by the level that is set there."""
        path = f"/compatibility/subjects/{quote(subject, safe='')}/versions?verbose=true"
        found = self._ask("POST", path, _body(schema), may_lack=True)
        if found is None or found.get("is_compatible") is True:
            return []
        return [str(message) for message in found.get("messages") or ["not compatible; the registry gives no reason"]]

    def level(self, subject: str) -> str | None:
        """Return the compatibility level of a subject; None where it has none of its own."""
        found = self._ask("GET", f"/config/{quote(subject, safe='')}", may_lack=True)
        return None if found is None else str(found.get("compatibilityLevel"))

    def set_level(self, subject: str, level: str) -> None:
        """Set the compatibility level of a subject."""
        self._ask("PUT", f"/config/{quote(subject, safe='')}", {"compatibility": level})

    def register(self, subject: str, schema: str) -> Registered:
        """Register a schema as the next version of a subject; one that is there already is found again."""
        self._ask("POST", f"/subjects/{quote(subject, safe='')}/versions", _body(schema))
        # The answer holds the id alone in older registries.
        found = self.find(subject, schema)
        if found is None:
            raise RegistryError(f"{subject}: was registered and is not found; expected it under the subject; ask again")
        return found

    def _ask(
        self, method: str, path: str, body: Mapping[str, str] | None = None, *, may_lack: bool = False
    ) -> dict[str, Any] | None:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310  the scheme was checked
            self._url + path, data=data, headers=dict(self._headers), method=method
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                found = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                code, message = _problem(error.read())
            if may_lack and error.code == HTTPStatus.NOT_FOUND and str(code).startswith("404"):
                return None
            raise RegistryError(f"{method} {path}: {error.code} {message}; {_remedy(error.code)}") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise RegistryError(
                f"{method} {path}: no answer that can be read ({reason}); expected a schema registry at the address; "
                "check --url and the network"
            ) from error
        if not isinstance(found, dict):
            raise RegistryError(f"{method} {path}: the answer is no JSON object; expected a schema registry at --url")
        return found


def _body(schema: str) -> dict[str, str]:
    return {"schemaType": "JSON", "schema": schema}


def _registered(found: Mapping[str, Any]) -> Registered:
    try:
        guid = found.get("guid")
        return Registered(int(found["id"]), int(found["version"]), None if guid is None else str(guid))
    except (KeyError, TypeError, ValueError) as error:
        raise RegistryError(f"an answer lacks id or version ({error}); expected a schema registry at --url") from None


def _problem(body: bytes) -> tuple[object, str]:
    """Return error code and message; 0 where it is no answer of a registry, but a proxy's page say."""
    try:
        found = json.loads(body)
        return found["error_code"], str(found["message"])[:_MAX_QUOTED]
    except (ValueError, KeyError, TypeError):
        return 0, "an answer in another form than a registry's"


def _remedy(status: int) -> str:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"expected a login with the right to write; set {USERNAME_VARIABLE} and {PASSWORD_VARIABLE}"
    if status == HTTPStatus.CONFLICT:
        return "expected a compatible schema; see the subject's compatibility level"
    return "expected success; see the registry's log"
