//! Many calls of one kind, in as few requests as the hub's limits allow.

use std::collections::VecDeque;

use super::Client;
use crate::calls::{Access, Call};
use crate::error::Error;
use crate::xmlrpc::{Limits, answers, encode_call, multicall};

/// What stays free of the hub's limit for a request, for the multicall's own envelope.
const ENVELOPE: usize = 1024;

/// Many calls on their way, chunk by chunk: see [`Client::multicall`].
#[derive(Debug)]
pub struct Multicall<T> {
    client: Client,
    calls: VecDeque<Call<T>>,
}

impl<T> Multicall<T> {
    pub(super) fn new(client: Client, calls: VecDeque<Call<T>>) -> Multicall<T> {
        Multicall { client, calls }
    }

    /// How many calls have not been sent yet.
    pub fn remaining(&self) -> usize {
        self.calls.len()
    }

    /// Sends the next chunk and gives its results, in the order of its calls; `None` when all have been answered.
    ///
    /// Each call may be refused on its own. An error of the whole chunk ends the multicall.
    pub async fn next_chunk(&mut self) -> Option<Result<Vec<Result<T, Error>>, Error>> {
        if self.calls.is_empty() {
            return None;
        }
        let chunk: Vec<Call<T>> = self.calls.drain(..self.chunk_size()).collect();
        let results = self.send(chunk).await;
        if results.is_err() {
            self.calls.clear();
        }
        Some(results)
    }

    /// Sends all chunks and gives all results, in the order of the calls.
    pub async fn all(mut self) -> Result<Vec<Result<T, Error>>, Error> {
        let mut results = Vec::with_capacity(self.calls.len());
        while let Some(chunk) = self.next_chunk().await {
            results.extend(chunk?);
        }
        Ok(results)
    }

    /// How many of the calls go into the next request: at least one.
    fn chunk_size(&self) -> usize {
        let mut bytes = ENVELOPE;
        let fitting = self.calls.iter().take_while(|call| {
            bytes += encode_call(&call.method).len();
            bytes <= Limits::REQUEST.bytes
        });
        let most = self.client.config().multicall_chunk_size.max(1);
        fitting.take(most).count().max(1)
    }

    async fn send(&self, chunk: Vec<Call<T>>) -> Result<Vec<Result<T, Error>>, Error> {
        let call = multicall(chunk.iter().map(|call| call.method.clone()));
        let access = chunk.iter().map(|call| call.access).max().unwrap_or(Access::Read);
        let value = self.client.send(&call, access).await?;
        let answers = answers(value, chunk.len())
            .map_err(|problem| self.client.unexpected(&call, problem))?;
        let result = |(call, answer): (Call<T>, _)| match answer {
            Ok(value) => (call.decode)(value)
                .map_err(|problem| self.client.unexpected(&call.method, problem)),
            Err(fault) => Err(Error::of_fault(&self.client.inner.hub, call.name(), fault)),
        };
        Ok(chunk.into_iter().zip(answers).map(result).collect())
    }
}
