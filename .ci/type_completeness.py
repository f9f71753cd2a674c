"""Share of the package's public symbols whose types users' checkers know, by pyright.

pyright looks at a package as its users have it, installed: a bare environment is made beside
pyright itself, whose search path names this tree and what the package needs.
"""

import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LEAST = 95.0


def main(pyright: Path) -> int:
    """Print the share, and all that is not known where it is too small."""
    bare = pyright / "as-installed"
    venv.create(bare, clear=True, with_pip=False, symlinks=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(bare), "platbase": str(bare)})
    search = Path(packages) / "search.pth"
    search.write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
    found = subprocess.run(
        [
            *("node", pyright / "node_modules" / "pyright" / "index.js"),
            *("--verifytypes", "acr_sklearn", "--ignoreexternal"),
        ],
        env=os.environ | {"PATH": f"{bare / 'bin'}{os.pathsep}{os.environ['PATH']}"},
        cwd=bare,  # not in the tree: what is found must be found as installed
        capture_output=True,
        text=True,
        check=False,
    )
    score = re.search(r"Type completeness score: ([\d.]+)%", found.stdout)
    if score is None:
        print(found.stdout, found.stderr, sep="\n", file=sys.stderr)
        return 1
    enough = float(score[1]) >= LEAST
    if not enough:
        print(found.stdout)
    print(f"Types of {score[1]} % of the public symbols are known; {LEAST:g} % are needed.")
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
