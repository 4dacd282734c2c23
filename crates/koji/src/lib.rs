//! Client of Koji, the build system: XML-RPC, sessions, typed calls.
