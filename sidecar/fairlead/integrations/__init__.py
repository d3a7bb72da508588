"""Fairlead inside the frameworks that agents are made with. Each needs an extra of the package."""
