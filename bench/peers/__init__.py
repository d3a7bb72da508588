"""Other gateways beside Fairlead, in an environment of their own: `make bench-peers`."""
