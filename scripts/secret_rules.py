"""Takes the rules that the output detectors of group `secrets` use from a gitleaks.toml.

    python scripts/secret_rules.py config/gitleaks.toml > native/screen/rules/secrets.json

Only rules whose secrets are known by themselves (by a prefix or a marker inside) are taken: what a model writes has
no file name and often no assignment around a value. What ends a secret in source code (a quote, a space) becomes the
end of a word, because in prose a full stop or a bracket follows just as well.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

CONTEXT = ("(?i)[\\w.-]{0,50}?", "[\\w.-]{0,50}?")
TERMINATOR = "(?:[\\x60'\"\\s;]|\\\\[nr]|$)"
WORD_END = "\\b{end-half}"
# What stays out, and why.
LEFT_OUT = {
    "curl-auth-header": "a whole command line",
    "curl-auth-user": "a whole command line",
    "facebook-access-token": "needs the word facebook nearby",
    "freemius-secret-key": "for PHP files",
    "generic-api-key": "needs a list of two thousand words",
    "jwt-base64": "a token inside of a token",
    "kubernetes-secret-yaml": "for YAML files",
    "nuget-config-password": "for nuget.config",
    "sourcegraph-access-token": "any forty hexadecimal digits",
    # Found while they are still growing: see detect/growing.rs.
    "jwt": "own pattern",
    "private-key": "own pattern",
}
# Keywords of the original that need not be inside of the secret.
KEYWORDS = {
    "airtable-personnal-access-token": ["pat"],
    "cloudflare-origin-ca-key": ["v1.0-"],
    "intra42-client-secret": ["s-s4t2ud-", "s-s4t2af-"],
}


def rule(source: dict[str, Any]) -> dict[str, Any]:
    """One rule in the form of `secrets.json`."""
    allowed = [regex for entry in source.get("allowlists", []) for regex in entry.get("regexes", [])]
    return {
        "id": source["id"],
        "pattern": source["regex"].replace(TERMINATOR, WORD_END),
        "keywords": KEYWORDS.get(source["id"], source["keywords"]),
        "entropy": source.get("entropy", 0),
        "allowed": allowed,
    }


def main() -> None:
    """Reads the file of the first argument, writes to standard output."""
    sources = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["rules"]
    rules = [
        rule(source)
        for source in sources
        if "regex" in source and source["id"] not in LEFT_OUT and not source["regex"].startswith(CONTEXT)
    ]
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in rules)
    sys.stdout.write(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
