"""The report on a model: how it is shown as text, as JSON and as one HTML page."""
