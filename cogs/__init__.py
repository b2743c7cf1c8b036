"""Discord: commands, modals, buttons and cards. They translate; the service decides."""
