"""The far ends of devices: disk images, character devices, displays.  Nothing here knows a device."""
