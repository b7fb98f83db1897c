"""A page for the browser: send a picture and see what arrives. `page` and `server` alone know Gradio."""
