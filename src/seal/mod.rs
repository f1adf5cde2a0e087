//! Build side: an image becomes a sealed one.
