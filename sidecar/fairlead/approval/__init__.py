"""Approvals: what people have to agree to, how they vote, and what agents see of it."""
