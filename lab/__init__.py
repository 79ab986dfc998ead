"""The lab: rehearsal and proof in a simulated world; asked by no gate."""
