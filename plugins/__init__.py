"""The device plugins that come with vpcore."""
