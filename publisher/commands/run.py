"""`category-publisher run`: runs the daemon until it is stopped."""

from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import ConfigOption, load_settings
from plumbing.config.load import load
from publisher.service import run_service

app = new_app()


@app.command()
def run(config: ConfigOption = None) -> None:
    """Run the daemon: poll each catalog at its interval.

    Runs until it is stopped (SIGINT, SIGTERM). On SIGHUP it reloads its configuration.
    Exit codes: 0 stopped, 1 failed, 2 the configuration is wrong.
    """
    settings = load_settings(config)
    signals.run(signals.until_stopped_or_reloaded(run_service(settings, lambda: load(config))))
