"""The sandbox: a whole Herald with a simulated Discord and a simulated Whop, on this machine alone."""
