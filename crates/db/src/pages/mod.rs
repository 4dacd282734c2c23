//! What the pages and the API of the web frontend read.
