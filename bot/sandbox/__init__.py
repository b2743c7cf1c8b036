"""Try all of Herald with no account: a simulated Whop and a simulated Discord."""
