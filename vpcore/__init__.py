"""vpcore: a PC virtual machine made of plugins."""

from vpcore.board import Board
from vpcore.device import Device, DeviceType, option
from vpcore.errors import VpcoreError
from vpcore.hookspecs import hookimpl
from vpcore.ports import PortMap
from vpcore.simple import SimpleDevice, saved

__all__ = ["Board", "Device", "DeviceType", "PortMap", "SimpleDevice", "VpcoreError", "hookimpl", "option", "saved"]
