//! A disk from nothing: partitions, ESP, root file system.
