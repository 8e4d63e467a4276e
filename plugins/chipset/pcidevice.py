"""What the PCI functions of the chipset share: a configuration space that is part of the state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

from vpcore.device import Device
from vpcore.pci import PciFunction


class PciState(Protocol):
    """A state with the bytes of the configuration space; empty stands for those after reset."""

    config: bytes


StateT = TypeVar("StateT", bound=PciState)


class PciDevice(Device[StateT]):
    """A device with one PCI function.  Subclasses declare register values after reset and what the guest may write."""

    fn: PciFunction

    def defaults(self) -> Mapping[int, bytes]:
        """Registers that are not 0 after reset, by offset."""
        return {}

    def writable(self) -> Mapping[int, bytes]:
        """Bits that the guest may write, by offset."""
        return {}

    def plug(self, fn: PciFunction) -> None:
        """Take the function over."""
        self.fn = fn
        fn.on_write = self.config_written

    def load(self, state: StateT) -> None:
        """Become *state*, configuration space included."""
        if state.config:
            self.fn.restore(state.config)
        else:
            self.fn.reset()
            for offset, data in self.defaults().items():
                self.fn.config[offset : offset + len(data)] = data
        for offset, mask in self.writable().items():
            self.fn.writable[offset : offset + len(mask)] = mask
        super().load(state)

    def save(self) -> StateT:
        """Return the state with the configuration space in it."""
        self.state.config = bytes(self.fn.config)
        return super().save()

    def config_written(self, offset: int, width: int) -> None:  # noqa: ARG002 - for subclasses that look
        """The guest wrote configuration space."""
        self.drive()
