"""Consoles on a port with one key of each role."""

from pathlib import Path

from console.port.keys import Keys, hash_of
from console.port.roles import Role


def keys_of_roles(tmp_path: Path, *more: str) -> Keys:
    """Return keys `key-ROLE` of every role, under the names of the roles; further ones are clients'."""
    named = {role.value: role for role in Role} | dict.fromkeys(more, Role.CLIENT)
    path = tmp_path / "keys.toml"
    path.write_text(
        "".join(
            f'[[keys]]\nname = "{name}"\nsha256 = "{hash_of(f"key-{name}")}"\nrole = "{role.value}"\n'
            for name, role in named.items()
        )
    )
    return Keys(path)


def bearer(name: str) -> dict[str, str]:
    """Return the header of a key."""
    return {"authorization": f"Bearer key-{name}", "content-type": "application/json"}
