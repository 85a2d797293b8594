"""`category-publisher run`."""

from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import ConfigOption, load_settings
from plumbing.config.load import load
from publisher.service import run_service

app = new_app()


@app.command()
def run(config: ConfigOption = None) -> None:
    """Run the daemon: poll each catalog at its interval.

    Runs until it is stopped (SIGINT, SIGTERM), then exits with 0. On SIGHUP it reads its
    configuration again.
    """
    settings = load_settings(config)
    signals.run(signals.until_stopped_or_reloaded(run_service(settings, lambda: load(config))))
