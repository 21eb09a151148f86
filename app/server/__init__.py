"""The web server: Streamlit behind a door that asks for a token beyond loopback, and headers that a browser obeys."""
