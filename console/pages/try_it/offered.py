"""What `CONSOLE_PAGES__BUNDLES` names, looked at before anybody chooses it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import structlog

from console.settings.console import ConsoleSettings
from model import BundleError, ClassesRefused, TextClassifier, load_bundle
from model.bundle.registry import is_registry, read_registry
from schemas import TaxonomyError, load_taxonomy

_SETTING: Final = "CONSOLE_PAGES__BUNDLES"
_DESCRIPTIONS: Final = ".toml"

log = structlog.get_logger()


def is_described(path: Path) -> bool:
    """Say whether a path names a taxonomy file whose descriptions make a classifier."""
    return path.suffix == _DESCRIPTIONS


def classifier_of(path: Path) -> TextClassifier:
    """Return the classifier that a taxonomy file's descriptions make.

    Raises:
        TaxonomyError, ClassesRefused: the file is refused.
    """
    taxonomy = load_taxonomy(path)
    return TextClassifier.from_descriptions(
        {category.code: category.description for category in taxonomy.categories},
        name=taxonomy.name,
        version=taxonomy.version,
        banned=taxonomy.banned,
    )


def check_offered(settings: ConsoleSettings) -> None:
    """Refuse settings that name a bundle, registry or taxonomy file that cannot be read.

    Raises:
        BundleError: names each.
    """
    if faults := [f"{_SETTING} names {path}: {fault}" for path, fault in _refused(settings)]:
        raise BundleError("\n".join(faults))


def without_refused(settings: ConsoleSettings) -> ConsoleSettings:
    """Return the settings without what the page could not load; each is warned of in the log."""
    refused = set()
    for path, fault in _refused(settings):
        log.warning(
            "bundle_left_out", setting=_SETTING, path=str(path), error=fault, remedy="mend or remove it, and restart"
        )
        refused.add(path)
    kept = [path for path in settings.pages.bundle_paths if path not in refused]
    return settings if not refused else _with_bundles(settings, kept)


def _with_bundles(settings: ConsoleSettings, paths: Sequence[Path]) -> ConsoleSettings:
    pages = settings.pages.model_copy(update={"bundles": ",".join(map(str, paths))})
    return settings.model_copy(update={"pages": pages})


def _refused(settings: ConsoleSettings) -> Iterator[tuple[Path, str]]:
    """Yield what cannot be read, and why; the page reads nothing where there is none."""
    if settings.api_only:
        return
    for path in settings.pages.bundle_paths:
        try:
            _check(path, settings.model.public_key_file)
        except (BundleError, TaxonomyError, ClassesRefused) as error:
            yield path, str(error)


def _check(path: Path, public_key_file: Path | None) -> None:
    if is_described(path):
        classifier_of(path)
    elif is_registry(path):
        # Its bundles are read when they are chosen: what it serves may change until then.
        read_registry(path)
    else:
        load_bundle(path, public_key=public_key_file)
