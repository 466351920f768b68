"""Puts the folders beside the package (kernels, app sources, recipes and scenes) into a wheel."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FOLDERS = {"kernels": "toolkit/kernels", "android_demo": "android_demo", "calibration": "calibration"}


class BuildWithData(build_py):
    def run(self) -> None:
        super().run()
        if self.editable_mode:  # a checkout has the folders themselves
            return
        for name, source in FOLDERS.items():
            target = Path(self.build_lib) / "pocketvlad" / "_data" / name
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))


setup(cmdclass={"build_py": BuildWithData})
