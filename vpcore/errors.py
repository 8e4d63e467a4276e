"""The exceptions that vpcore raises."""


class VpcoreError(Exception):
    """Base of all errors that vpcore raises: one line for the user, saying what is wrong, where, and the remedy.

    VpcoreError
      + ConfigError          a machine file, flag or option is wrong; names file and key
      + PluginError          a plugin broke its contract; names plugin and hook
      + BackendError         a host end (image, serial port, display) cannot be used; names it
      |   + DiskFullError    the host has no space left for what the guest wrote
      + CheckpointError      a checkpoint does not fit this machine
      + DeviceError          a device raised while the guest ran; names the device
      + EngineError          the CPU engine cannot go on; names the engine
      + ImageError           an image or medium cannot be made; names tool and file
      + GuestTimeoutError    the guest did not do in time what the caller waited for
    """


class ConfigError(VpcoreError):
    """A machine file, command-line flag or device option is wrong."""


class PluginError(VpcoreError):
    """A plugin cannot be loaded or broke the contract of a hook."""


class BackendError(VpcoreError):
    """The host side of a device (image, serial port, display) cannot be opened or used."""


class DiskFullError(BackendError):
    """The host has no space left for data that the guest wrote."""


class CheckpointError(VpcoreError):
    """A checkpoint cannot be read, or is not of this machine."""


class DeviceError(VpcoreError):
    """A device model raised an exception while the guest ran."""


class EngineError(VpcoreError):
    """The CPU engine cannot be made or cannot go on."""


class ImageError(VpcoreError):
    """A guest image or a test medium cannot be made or fetched."""


class GuestTimeoutError(VpcoreError):
    """The guest did not show what was waited for in time."""
