"""A user's devices: one in a file, one in an installed package; `vpcore devices` lists both and a guest reads both."""

import subprocess
import sys

DEVICE = '''\
from vpcore import PortMap, SimpleDevice, option, saved

class {name}(SimpleDevice):
    """{help}"""
    ports = PortMap(size=1)
    base: int = option({base:#x}, "first port")
    value: int = saved({value})
    @ports.read(0)
    def read(self) -> int: return self.value
    @ports.write(0)
    def write(self, value: int) -> None: self.value = value ^ 0x20; self.log.info("written", value=value)
'''
REGISTRATION = """
from vpcore import hookimpl

@hookimpl
def vpcore_device_types():
    return [Parcel.device_type("parcel")]
"""
PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "parcel-device"
version = "1.2"

[project.entry-points."vpcore.plugins"]
parcel = "parcel_device"

[tool.setuptools]
py-modules = ["parcel_device"]
"""
GUEST = """
    mov al, 'f'         ; the device changes its case
    mov dx, 0x310
    out dx, al
    in al, dx
    mov dx, 0x3f8
    out dx, al
sent:
    mov dx, 0x3fd       ; line status: the transmitter is empty
    in al, dx
    test al, 0x40
    jz sent
    mov dx, 0x320
    in al, dx
    mov dx, 0x3f8
    out dx, al
sent_too:
    mov dx, 0x3fd
    in al, dx
    test al, 0x40
    jz sent_too
"""


def test_a_device_in_a_file_and_one_in_an_installed_package_are_listed_and_run(write_machine, vpcore, tmp_path):
    file = DEVICE.format(name="Leaf", help="A device in one file.", base=0x300, value=0)
    assert len(file.splitlines()) <= 12
    (tmp_path / "leaf.py").write_text(file)
    package = tmp_path / "package"
    package.mkdir()
    device = DEVICE.format(name="Parcel", help="A device in a package.", base=0x320, value=ord("p"))
    (package / "parcel_device.py").write_text(device + REGISTRATION)
    (package / "pyproject.toml").write_text(PROJECT)
    installed = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", installed, package], check=True, timeout=100)
    machine = write_machine(
        GUEST, '[[device]]\ntype = "leaf.py:Leaf"\nbase = 0x310\n[[device]]\ntype = "parcel"\nname = "mine"\n'
    )

    listed = vpcore("devices", "--machine", machine, folders=[installed])
    assert "│ leaf.py:Leaf │ leaf.py │ A device in one file." in " ".join(
        listed.replace(str(tmp_path) + "/", "").split()
    )
    assert "│ parcel │ parcel │ A device in a package." in " ".join(listed.split())
    keys = vpcore("devices", "leaf.py:Leaf", folders=[installed], cwd=tmp_path)
    assert "base │ an integer │ 0x300 │ first port" in " ".join(keys.split())
    assert "parcel-device 1.2" in vpcore("info", folders=[installed])

    assert vpcore("run", machine, "--display", "none", folders=[installed]) == "Fp"
