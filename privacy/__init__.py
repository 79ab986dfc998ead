"""Raw rows stop here: keys, pseudonyms, vaults, the release gate and the leak scan."""
