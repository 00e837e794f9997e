"""What the platform answers, as types. `docs/openapi.json` says what each field means; a test
compares both. Fields may come in addition, so an answer can have more than its type."""
