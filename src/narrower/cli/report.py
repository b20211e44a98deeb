"""``narrower report``: one HTML page about a run."""

from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.complete import Run
from narrower.cli.console import note, tell
from narrower.errors import require_extra
from narrower.store.files import check_output
from narrower.store.run_directory import RunDirectory

Output = Annotated[
    Path | None, typer.Option("--output", help="The file to write.", show_default="RUN/report.html")
]
Png = Annotated[bool, typer.Option("--png", help="Write the plots as PNG files as well, beside the page.")]


def report(run: Run, output: Output = None, png: Png = False) -> None:
    """Write one self-contained HTML page about RUN: which plan to take, why, and all that was found."""
    from narrower.report.findings import read_findings
    from narrower.report.html import write_report
    from narrower.report.whole_run import read_whole_run

    if png:
        require_extra("matplotlib", "png", "--png")
    directory = RunDirectory(run)
    page = output or directory.report
    check_output(page)
    read_whole_run(directory, note)
    findings = read_findings(directory)
    write_report(findings, page)
    tell(f"{page}: {page.stat().st_size:,} bytes, opens without a network")
    if png:
        from narrower.report.plots import write_plots

        for path in write_plots(findings, page.parent / f"{page.stem}-plots"):
            tell(str(path))
