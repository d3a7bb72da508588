"""Unmodified SDKs and agent frameworks through the sidecar, against a third party's mock of the providers.

They run in an environment of their own (`make test-compat`), so that their dependencies decide nothing here.
"""
