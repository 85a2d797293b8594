"""Settings: from publisher.toml and the environment, with one clear line for each mistake."""
