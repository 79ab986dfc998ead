"""The laws that no policy may break, and the search for an input that breaks one."""
