"""Write a policy as the TOML file that `load_policy` reads."""

import re
from typing import Any, Final

from schemas import Policy

_INTRODUCTION: Final = "# A policy: which categories never carry an ad, and how many mistakes are accepted.\n"
_MUST_BE_ESCAPED: Final = re.compile(r'[\x00-\x1f"\\\x7f\ud800-\udfff]')


def policy_toml(policy: Policy) -> str:
    """Return a policy as TOML; what stands at its default is left out."""
    document = policy.model_dump(mode="json")
    defaults = {name: field.get_default(call_default_factory=True) for name, field in Policy.model_fields.items()}
    lines, tables = [], []
    for name, value in document.items():
        if value == defaults[name] and name != "taxonomy":
            continue
        if isinstance(value, dict):
            tables += ["", f"[{name}]", *(f"{_text(key)} = {_value(one)}" for key, one in sorted(value.items()))]
        elif name in {"valid_from", "valid_until"}:
            # A time and no text, as people write it.
            lines.append(f"{name} = {value}")
        else:
            lines.append(f"{name} = {_value(value)}")
    return _INTRODUCTION + "\n".join([*lines, *tables]) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_value(one) for one in value)}]"
    return _text(value) if isinstance(value, str) else repr(value)


def _text(text: str) -> str:
    return '"' + _MUST_BE_ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + '"'
