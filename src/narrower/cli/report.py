"""``narrower report``: one HTML page about a run, or about several side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from narrower.cli.complete import Runs
from narrower.cli.console import note, tell
from narrower.errors import SettingsError, require_extra
from narrower.store.files import check_output, write_text
from narrower.store.run_directory import RunDirectory

Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        help="The file to write.",
        show_default="RUN/report.html, of several runs side-by-side.html beside the first",
    ),
]
Png = Annotated[bool, typer.Option("--png", help="Write the plots as PNG files as well, beside the page.")]


def report(run: Runs, output: Output = None, png: Png = False) -> None:
    """Write one self-contained HTML page about RUN: which plan to take, why, and all that was found.

    Of several runs the page shows the fronts side by side, and what the runs did not share.
    """
    from narrower.report.whole_run import read_whole_run

    if png:
        require_extra("matplotlib", "png", "--png")
    directories = [RunDirectory(path) for path in run]
    if len(directories) > 1:
        if png:
            raise SettingsError("--png: goes with one run")
        _side_by_side(directories, output or run[0].parent / "side-by-side.html")
        return
    from narrower.report.html import write_report
    from narrower.study.reported import reported

    (directory,) = directories
    page = output or directory.report
    check_output(page)
    read_whole_run(directory, note)
    findings = reported(directory)
    write_report(findings, page)
    _told(page)
    if png:
        from narrower.report.plots import write_plots

        for path in write_plots(findings, page.parent / f"{page.stem}-plots"):
            tell(str(path))


def _side_by_side(directories: Sequence[RunDirectory], page: Path) -> None:
    from narrower.report.findings import read_findings
    from narrower.report.page import render_page
    from narrower.report.side_by_side import side_by_side
    from narrower.report.whole_run import read_whole_run

    check_output(page)
    for directory in directories:
        read_whole_run(directory, note)
    write_text(page, render_page(side_by_side([read_findings(directory) for directory in directories])))
    _told(page)


def _told(page: Path) -> None:
    tell(f"{page}: {page.stat().st_size:,} bytes, opens without a network")
