"""Tables, figure and page of a recording's sensitivity."""
