"""The configuration: one YAML file or a directory of them, validated whole, versioned, reloaded when it changes.

| module | idea |
|---|---|
| `document`, `merge` | YAML text → plain values with their lines |
| `sections/*`, `schema`, `quantities` | the models, one section per file; durations, sizes and money as integers |
| `messages`, `references`, `secrets`, `salvage`, `loader` | all violations at once, each with file, line and path |
| `canonical`, `engine` | one text per meaning, its version; what the native core takes |
| `versions`, `diff`, `service` | history in the store; apply, compare, roll back |
| `watch`, `reload` | changed files |
| `dev` | what `--dev` adds |
"""

from fairlead.config.canonical import canonical_json, config_version, from_canonical
from fairlead.config.engine import to_engine, to_engine_bytes
from fairlead.config.loader import Loaded, Loader
from fairlead.config.schema import Config
from fairlead.config.secrets import ResolvedSecrets, SecretUnavailable, resolve_secrets
from fairlead.config.violation import ConfigError, Violation

__all__ = [
    "Config",
    "ConfigError",
    "Loaded",
    "Loader",
    "ResolvedSecrets",
    "SecretUnavailable",
    "Violation",
    "canonical_json",
    "config_version",
    "dev_config",
    "from_canonical",
    "resolve_secrets",
    "to_engine",
    "to_engine_bytes",
]


def dev_config() -> Config:
    """The configuration of `fairlead serve --dev`: tenant `dev`, agent token `dev`, a provider on 127.0.0.1:7411."""
    return Loader(None, {}, dev=True).load(None).config
