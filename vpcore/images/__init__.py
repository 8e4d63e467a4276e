"""Guest images: a small bootable Linux disk, and test media from Debian's packages.

Nothing here knows the rest of vpcore: images are plain files, made with the host's ordinary tools.
"""
