"""`python -m shoal_local`: up, down, status, demo."""

from shoal_local.command import main

if __name__ == "__main__":
    main()
