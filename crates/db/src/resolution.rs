//! Statements of the resolvers: what to resolve, and what came out of it.
