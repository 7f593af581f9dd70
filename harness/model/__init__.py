"""Plain types that everything speaks in; standard library only."""
