"""The bundles that a registry has served, and serving one of them again."""

import errno
import os
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import structlog

from console.errors import Problem
from console.service import Service
from console.store.access import Access, accesses, log_access
from model import BundleError
from model.bundle.pointer import gate_refusal, serve_again, step_to
from model.bundle.registry import POINTER_NAME, Registry, RegistryEntry, is_registry, read_registry

STEPS: Final = ("promote", "rollback")
MOST_REASON_CHARACTERS: Final = 500
_NOT_WRITABLE: Final = {errno.EROFS, errno.EACCES, errno.EPERM}
_BY_HAND: Final = "`python -m training_pipeline rollback --registry … --to … --reason …`"

log = structlog.get_logger()


class RegistryView:
    """The registry that the console's bundle comes from, or else the worker's.

    Args:
        service: Its settings name the registry, its store holds the log.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._key = service.settings.model.public_key_file
        named = [service.settings.model.path]
        if (operations := service.operations) is not None:
            named.append(operations.worker.model.path)
            self._key = self._key or operations.worker.model.public_key_file
        found = next((path for path in named if is_registry(path)), None)
        self._root = found.parent if found is not None and found.name == POINTER_NAME else found

    def document(self) -> dict[str, Any]:
        """Return its history as JSON, newest first; without one there is no registry.

        Raises:
            Problem: the pointer is refused.
            StoreAway: the database does not answer.
        """
        if self._root is None:
            return {"history": None}
        known = self._read(self._root)
        log_rows = self._logged()
        entries = [known.current, *reversed(known.history)]
        return {
            "served_here": self._service.bundle.digest,
            "current": known.current.digest,
            "is_signed": self._key is not None or known.current.signature is not None,
            "is_writable": _is_writable(self._root),
            "history": [self._line(entry, known, log_rows, is_first=i == 0) for i, entry in enumerate(entries)],
        }

    def serve(self, actor: str, document: dict[str, Any]) -> RegistryEntry:
        """Serve a bundle again, as a request asks; written to the log in one transaction with the pointer.

        Raises:
            Problem: the request or the registry's checks refuse it, or the registry cannot be written.
            StoreAway: the database does not answer; nothing was changed.
        """
        digest, current, reason = (_text(document, name) for name in ("digest", "current", "reason"))
        root, operations = self._root, self._service.operations
        if root is None or operations is None:
            raise _refused("there is no registry; expected CONSOLE_MODEL__PATH at one")
        if len(reason) > MOST_REASON_CHARACTERS:
            raise _refused(f"reason: {len(reason)} characters; expected at most {MOST_REASON_CHARACTERS}")
        step = step_to(self._read(root), digest) or "promote"
        detail = {"digest": digest, "from": current, "reason": reason}
        with operations.store.writing() as connection:
            # First: what cannot be logged is not done.
            log_access(connection, actor, step, detail)
            entry = _served(root, digest, reason, current, self._key)
        log.info("bundle_served_again", actor=actor, action=entry.action, digest=digest, before=current)
        return entry

    def _read(self, root: Path) -> Registry:
        try:
            return read_registry(root)
        except BundleError as error:
            raise _refused(str(error)) from None

    def _logged(self) -> list[Access]:
        operations = self._service.operations
        if operations is None:
            return []
        with operations.store.reading() as connection:
            return accesses(connection, STEPS)

    def _line(self, entry: RegistryEntry, known: Registry, rows: list[Access], *, is_first: bool) -> dict[str, Any]:
        step = step_to(known, entry.digest)
        refusal = gate_refusal(known, entry.digest) if step == "promote" else None
        return {
            "digest": entry.digest,
            "location": entry.location,
            "set_at": entry.set_at.isoformat(),
            "action": entry.action,
            "reason": entry.reason,
            "by": _who(entry, rows),
            "is_current": is_first,
            "is_signed": entry.signature is not None,
            "gate": entry.gate,
            "step": step,
            "refusal": refusal,
        }


def _served(root: Path, digest: str, reason: str, current: str, key: Path | None) -> RegistryEntry:
    try:
        return serve_again(root, digest, reason=reason, expected_current=current, public_key=key)
    except BundleError as error:
        raise _refused(str(error)) from None
    except OSError as error:
        if error.errno in _NOT_WRITABLE:
            raise _refused(
                f"the registry cannot be written from here ({error.strerror}); expected a folder that the console may "
                f"write to; nothing was changed; do it where it can be written: {_BY_HAND}",
                code="registry_read_only",
            ) from None
        raise _refused(f"the registry cannot be written ({error.strerror}); nothing was changed") from error


def _who(entry: RegistryEntry, rows: list[Access]) -> str | None:
    """Return who set the pointer from a console; None where a command did, or another console's database knows."""
    set_ms = entry.set_at.timestamp() * 1_000
    near = [
        row for row in rows if row.detail.get("digest") == entry.digest and row.detail.get("reason") == entry.reason
    ]
    # The log's row is written first, and the bundle is read in between.
    found = [row for row in near if 0 <= set_ms - row.at_ms < _SAME_ACT_MS]
    return found[0].actor if found else None


_SAME_ACT_MS: Final = 120_000


def _is_writable(root: Path) -> bool:
    return os.access(root, os.W_OK) and not os.statvfs(root).f_flag & os.ST_RDONLY


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _refused(f"{name}: expected a text that is not empty")
    return value.strip()


def _refused(message: str, code: str = "promotion_refused") -> Problem:
    return Problem(HTTPStatus.CONFLICT, code, message)
