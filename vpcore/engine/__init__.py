"""The CPU engine: a C library behind one class."""

from vpcore.engine.engine import Engine, EngineConfig, Exit, GuestBus, Stats, disassemble, probe

__all__ = ["Engine", "EngineConfig", "Exit", "GuestBus", "Stats", "disassemble", "probe"]
