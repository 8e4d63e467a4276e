from setuptools import setup

setup(cffi_modules=["vpcore/engine/build.py:ffi", "plugins/chipset/build.py:ffi"])
