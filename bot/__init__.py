"""Herald: compose, approve and send Whop notifications from Discord."""
