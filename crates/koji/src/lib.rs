//! Client of Koji, the build system: XML-RPC, sessions, typed calls.
//!
//! Useful without knowing Koschei. [`xmlrpc`] is the wire format in both directions (a client and a hub need the same
//! one), everything else is the client.

pub mod xmlrpc;
