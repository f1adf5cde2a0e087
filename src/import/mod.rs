//! Layers to objects and entries: decompress, check the diff ID, split the tar stream.
//!
//! Takes a layer's blob; gives its entries, and writes file contents as objects and a splitstream. Never interprets whiteouts.
