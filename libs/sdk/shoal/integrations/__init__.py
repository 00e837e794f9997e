"""Callbacks for training libraries. Each module needs its library, which Shoal does not bring."""
