//! What people and programs see: tables, JSON, progress.
