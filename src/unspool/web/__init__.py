"""A model in a browser: the runtime in JavaScript, and the page that explains a model with it."""
