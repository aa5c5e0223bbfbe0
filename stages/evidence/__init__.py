"""Evidence of events: pictures of the moment, and the video around it, as files."""
