"""Checkpoints of agent graphs: stored for agents, per tenant, without knowing what is in them."""
