//! What people and programs see of Koschei over HTTP.
