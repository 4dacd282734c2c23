//! RPM versions, relations and repository metadata.
