"""The sections of the configuration, one module each. `fairlead.config.schema` puts them together."""
