"""The preview picture: words as a lock screen and the feed show them, drawn in a process of its own."""
