"""Run the command as a module: ``python -m limitline``."""

from limitline.commands import main

if __name__ == "__main__":
    main()
