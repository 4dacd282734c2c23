//! Statements of the services about builds: new, finished, untagged, adopted.
