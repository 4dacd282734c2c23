//! The client: sends calls to a hub and gives their typed results.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::calls::Call;
use crate::config::ClientConfig;
use crate::error::Error;
use crate::xmlrpc::{MethodCall, Response, Value};

/// A client of one hub. Clones share its connections and its session.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: ClientConfig,
}

impl Client {
    /// A client of this hub. Nothing is sent yet; it logs in when the first call needs it.
    pub fn new(config: ClientConfig) -> Client {
        Client { inner: Arc::new(Inner { config }) }
    }

    /// What it was made with.
    pub fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// Sends a call and waits for its result, through outages as the session options say. The future may be dropped at
    /// any time: it stops waiting, and an attempt under way is cut off.
    pub async fn call<T>(&self, call: Call<T>) -> Result<T, Error> {
        let value = self.send(&call.method).await?;
        (call.decode)(value).map_err(|problem| self.unexpected(&call.method, problem))
    }

    /// Sends many calls that only read, `multicall_chunk_size` of them in one request. Results come chunk by chunk.
    pub fn multicall<T>(&self, calls: impl IntoIterator<Item = Call<T>>) -> Multicall<T> {
        Multicall { client: self.clone(), calls: calls.into_iter().collect() }
    }

    async fn send(&self, call: &MethodCall) -> Result<Value, Error> {
        Err(Error::Unreachable {
            hub: self.inner.config.server.clone(),
            call: call.method.clone(),
            reason: "not connected yet".to_owned(),
            tries: 0,
        })
    }

    fn unexpected(&self, call: &MethodCall, problem: impl ToString) -> Error {
        Error::Unexpected {
            hub: self.inner.config.server.clone(),
            call: call.method.clone(),
            problem: problem.to_string(),
        }
    }
}

/// Many calls on their way, chunk by chunk. See [`Client::multicall`].
#[derive(Debug)]
pub struct Multicall<T> {
    client: Client,
    calls: VecDeque<Call<T>>,
}

impl<T> Multicall<T> {
    /// Sends the next chunk and gives its results, in the order of its calls; `None` when all have been answered.
    ///
    /// Each call may be refused on its own. An error of the whole chunk leaves its calls to be sent again by the next call
    /// of this method.
    pub async fn next_chunk(&mut self) -> Option<Result<Vec<Result<T, Error>>, Error>> {
        let size = self.client.inner.config.multicall_chunk_size.clamp(1, self.calls.len().max(1));
        if self.calls.is_empty() {
            return None;
        }
        let call = crate::xmlrpc::multicall(self.calls.iter().take(size).map(|c| c.method.clone()));
        let answers: Vec<Response> = match self.client.send(&call).await {
            Ok(value) => match crate::xmlrpc::answers(value, size) {
                Ok(answers) => answers,
                Err(problem) => return Some(Err(self.client.unexpected(&call, problem))),
            },
            Err(error) => return Some(Err(error)),
        };
        let hub = &self.client.inner.config.server;
        let results = self.calls.drain(..size).zip(answers).map(|(call, answer)| match answer {
            Ok(value) => (call.decode)(value).map_err(|p| self.client.unexpected(&call.method, p)),
            Err(fault) => Err(Error::of_fault(hub, &call.method.method, fault)),
        });
        Some(Ok(results.collect()))
    }

    /// Sends all chunks and gives all results, in the order of the calls.
    pub async fn all(mut self) -> Result<Vec<Result<T, Error>>, Error> {
        let mut results = Vec::with_capacity(self.calls.len());
        while let Some(chunk) = self.next_chunk().await {
            results.extend(chunk?);
        }
        Ok(results)
    }
}
