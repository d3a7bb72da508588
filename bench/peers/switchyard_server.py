"""Runs in Switchyard's environment: serves a configuration until standard input closes; prints its address."""

from __future__ import annotations

import sys

from switchyard_rust._switchyard_rust import server

with server.Server(sys.argv[1]) as running:
    print(running.base_url, flush=True)
    sys.stdin.read()
