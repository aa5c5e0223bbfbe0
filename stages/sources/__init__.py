"""Sources, where frames come from: files, folders, pictures, cameras, the web, the synthetic
street."""
