"""Run the lab's commands: ``python -m lab``."""

from lab.commands import app

if __name__ == "__main__":
    app(prog_name="python -m lab")
