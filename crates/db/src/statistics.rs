//! The statistics tables, recomputed by polling.
