"""Which systems there are, and their options: found from the loader modules themselves."""

import dataclasses
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Sequence
from typing import Any

import dlt

import ingestion
from ingestion.errors import ConfigurationError, keep_secret
from ingestion.stream import Reader, Stream


@dataclasses.dataclass(frozen=True)
class System:
    """A loader module: its streams, its dlt source, its reader, and the options that both take."""

    name: str
    description: str
    streams: Sequence[Stream]
    source: Callable[..., Any]
    reader: Callable[..., Reader]
    options: dict[str, Any]
    """Option -> default; dlt.secrets.value and dlt.config.value mark the ones that must be given."""
    has_catalog: bool = False
    """A database of the configuration: its streams are asked of its catalog, when first needed."""
    is_live: bool = False
    """It sends when it likes, so that one may stay connected: its reader has a `source` and a `spool`."""
    types: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Option -> type, for those that are no texts."""
    section: str = ""
    """Where its options are in the configuration, below sources, if that is not its name."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "section", self.section or self.name)

    @property
    def given(self) -> dict[str, Any]:
        """The options that the user has set, in the environment or in .dlt/."""
        values = {}
        for name in self.options:
            try:
                values[name] = dlt.secrets.get(f"sources.{self.section}.{name}", self.types.get(name))
            except (ValueError, dlt.common.configuration.exceptions.ConfigValueCannotBeCoercedException) as error:
                raise ConfigurationError(f"{option(self.section, name)} can't be read: {error}") from error
        keep_secret(str(values[n]) for n, default in self.options.items() if default is dlt.secrets.value and values[n])
        return {name: value for name, value in values.items() if value not in (None, "")}

    @property
    def missing(self) -> list[str]:
        """The options, in the form of environment variables, without which it can't be read."""
        required = [n for n, default in self.options.items() if default in (dlt.secrets.value, dlt.config.value)]
        return [option(self.section, name) for name in required if name not in self.given]

    @property
    def chosen(self) -> list[Stream]:
        """The streams to read: those that the option `streams` names, or all."""
        names = self.given.get("streams") or [stream.name for stream in self.streams]
        if unknown := sorted(set(names) - {stream.name for stream in self.streams}):
            raise ConfigurationError(f"{option(self.section, 'streams')}: there is no stream {', '.join(unknown)}")
        return [stream for stream in self.streams if stream.name in names]

    def connect(self) -> Reader:
        """The reader with the user's options; raises SourceError if one of them is wrong."""
        options, wanted = {**self.options, **self.given}, inspect.signature(self.reader).parameters
        return self.reader(**{name: value for name, value in options.items() if name in wanted})


def option(section: str, name: str) -> str:
    """The environment variable of an option, by dlt's naming."""
    return f"SOURCES__{section.replace('.', '__')}__{name}".upper()


def built_in() -> dict[str, System]:
    """The systems that have a loader, by name: modules with STREAMS, Reader and a source of the module's name.

    What the option `tables` adds to the streams the module's `declared` says, if it has one; raises ConfigurationError
    for an option that makes no sense.
    """
    found = {}
    for module_info in sorted(pkgutil.iter_modules(ingestion.__path__), key=lambda m: m.name):
        if module_info.name == "__main__":
            continue
        module = importlib.import_module(f"ingestion.{module_info.name}")
        if not hasattr(module, "STREAMS"):
            continue
        source = getattr(module, module_info.name)
        parameters = inspect.signature(source).parameters.values()
        system = System(
            name=module_info.name,
            description=(module.__doc__ or "").strip().splitlines()[0],
            streams=module.STREAMS,
            source=source,
            reader=module.Reader,
            is_live=getattr(module.Reader, "is_live", False),
            options={p.name: p.default for p in parameters if p.name != "run"},
            types={p.name: _plain(p.annotation) for p in parameters if p.name != "run"},
        )
        if hasattr(module, "declared"):
            own = module.declared(system.given.get("tables"))
            system = dataclasses.replace(system, streams=[*system.streams, *own])
        found[system.name] = system
    return found


def _plain(annotation: Any) -> Any:
    """bool, int, dict or list of what may be `list[str] | None`; None for texts."""
    for option in (annotation, *typing.get_args(annotation)):
        if (typing.get_origin(option) or option) in (bool, int, dict, list):
            return typing.get_origin(option) or option
    return None


def all_systems() -> dict[str, System]:
    """The built-in systems and the databases of the configuration, by name.

    Raises ConfigurationError if one of those can't be.
    """
    from ingestion import databases  # which itself makes systems

    found = built_in()
    return found | databases.configured(found)


def select(names: list[str]) -> list[System]:
    """The systems with these names, or all; raises ConfigurationError for a name that is none."""
    systems = all_systems()
    if unknown := [name for name in names if name not in systems]:
        raise ConfigurationError(f"there is no system {', '.join(unknown)}; there are: {', '.join(systems)}")
    return [system for name, system in systems.items() if not names or name in names]
