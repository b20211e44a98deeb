"""From a TOML file to frozen settings, and errors that say where a mistake is."""
