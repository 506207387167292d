"""Makes the picture of the page that explains a model: python docs/explain_picture.py names.unspool docs/explain.png.

It takes a screenshot in headless Chromium, from the second phase on.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import unspool as us

WIDTH, HEIGHT = 1120, 770
FRAME = """<!doctype html><meta charset="utf-8"><style>body {{ margin: 0 }}</style>
<iframe src="page.html#step={step}&amp;sample={sample}" style="width: {width}px; height: {height}px; border: 0">
</iframe>
<script>
  addEventListener("load", () => setTimeout(() => {{
    const page = document.querySelector("iframe").contentDocument;
    page.documentElement.style.scrollPaddingTop = "4.6rem";
    page.getElementById("two").scrollIntoView();
  }}, 500));
</script>
"""


def main(model: str, picture: str, sample: str = "0", step: str = "2") -> None:
    """Write the picture of one step of one sequence."""
    program = shutil.which("chromium") or sys.exit("there is no Chromium to take pictures with")
    with tempfile.TemporaryDirectory() as folder:
        us.load(model).explain(Path(folder, "page.html"))
        frame = Path(folder, "frame.html")
        frame.write_text(FRAME.format(step=step, sample=sample, width=WIDTH, height=HEIGHT), "utf-8")
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += ["--allow-file-access-from-files", "--virtual-time-budget=8000", f"--user-data-dir={folder}/profile"]
        command += [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={Path(picture).resolve()}", frame.as_uri()]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603  # of this file alone


if __name__ == "__main__":
    main(*sys.argv[1:])
