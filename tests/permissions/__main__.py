"""Write docs/permissions.md: `make permissions`."""

from pathlib import Path

from tests.permissions.page import page

PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"


def main() -> None:
    """Print the table into the document."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
