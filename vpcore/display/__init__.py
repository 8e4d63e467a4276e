"""Where a guest's screen is shown.  Each display is a process of its own, so that painting never holds up the guest."""
