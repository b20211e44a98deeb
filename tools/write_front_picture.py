"""Draw docs/front.svg, the front that README.md shows, from a search of configs/jsc-toy.toml."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from narrower.report.findings import read_findings
from narrower.report.small_picture import Point, member_point, small_picture
from narrower.store.run_directory import RunDirectory

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "front.svg"
MOST_OTHERS = 900
STYLE = (
    "<style>svg{color:#1c1e21;background:#ffffff}"
    "@media(prefers-color-scheme:dark){svg{color:#e8eaed;background:#1b1f24}}</style>"
)


def picture(run: RunDirectory) -> str:
    """The front over the other trials, as a file that stands alone."""
    findings = read_findings(run)
    axes = (findings.costs[0], findings.quality)
    columns = [findings.table.metrics[name] for name in axes]
    rows = findings.others[:: max(1, len(findings.others) // MOST_OTHERS)].tolist()
    others = [Point(float(columns[0][row]), float(columns[1][row]), "", is_on_front=False) for row in rows]
    members = [member_point(m.number, m.metrics, findings.plan(m), axes) for m in findings.members]
    drawn = small_picture([*others, *members], *axes).replace(
        "<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1
    )
    return drawn.replace(">", f">{STYLE}", 1) + "\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "narrower", "search", "--config", str(ROOT / "configs/jsc-toy.toml")]
        done = subprocess.run([*command, "--json"], cwd=folder, capture_output=True, text=True, check=True)
        run = RunDirectory(Path(folder) / json.loads(done.stdout)["run"])
        TARGET.write_text(picture(run), encoding="utf-8")
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
