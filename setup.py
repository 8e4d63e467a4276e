from pathlib import Path

from setuptools import setup

RECIPES = sorted([*Path("vpcore").glob("*/build.py"), *Path("plugins").glob("*/build.py")])

setup(cffi_modules=[f"{recipe}:ffi" for recipe in RECIPES])
