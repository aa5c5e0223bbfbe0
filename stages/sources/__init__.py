"""Where frames come from: video files, pictures, cameras, the synthetic street."""
