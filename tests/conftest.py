"""Settings of all tests."""

from __future__ import annotations

import os

import hypothesis

# No test depends on the machine's speed; in CI the same examples run every time, elsewhere new ones are looked for.
hypothesis.settings.register_profile("fairlead", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("fairlead")
