"""Parse, invoke, render. A door decides nothing."""
