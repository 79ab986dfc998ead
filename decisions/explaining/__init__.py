"""Why a limit is what it is, as far as the model goes: reasons found by asking it."""
